"""A hasher that counts: guessing is slow because hashes are, so that what matters is how many are computed."""

from django.contrib.auth.hashers import MD5PasswordHasher


class CountingHasher(MD5PasswordHasher):
    algorithm = "counting"
    computed = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.computed += 1
        return str(super().encode(password, salt))

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Somebody who may sign in. Our own from the first migration, so that it can grow."""

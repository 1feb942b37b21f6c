from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from accounts.models import User
from iotsite.admin import CarefulAdmin


@admin.register(User)
class AccountAdmin(CarefulAdmin, UserAdmin):  # type: ignore[type-arg]
    def why_kept(self, row: User) -> str:
        return f"{row} has a history: make the account inactive instead of deleting it." if row.events.exists() else ""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from accounts.models import Token, User
from iotsite.admin import CarefulAdmin


@admin.register(User)
class AccountAdmin(CarefulAdmin, UserAdmin):  # type: ignore[type-arg]
    def why_kept(self, row: User) -> str:
        return f"{row} has a history: make the account inactive instead of deleting it." if row.events.exists() else ""


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """To see and to revoke. Who wants one makes it on the account page, where only they see its text."""

    list_display = fields = ("name", "user", "scope", "created_at", "expires_at", "last_used_on")
    list_filter = ["scope", "user"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        return False

from django.contrib.auth import views
from django.urls import path, reverse_lazy

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.LoginView.as_view(template_name="account/sign_in.html"), name="sign_in"),
    path("sign-out/", views.LogoutView.as_view(), name="sign_out"),
    path(
        "password/",
        views.PasswordChangeView.as_view(
            template_name="account/password.html", success_url=reverse_lazy("relays:home")
        ),
        name="password",
    ),
]

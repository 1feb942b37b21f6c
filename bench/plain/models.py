"""What is kept."""

from django.db import models


class Token(models.Model):
    digest = models.CharField(max_length=64, unique=True)


class Relay(models.Model):
    slug = models.SlugField(unique=True)
    line = models.CharField(max_length=20)
    wanted = models.BooleanField(default=False)
    actual = models.BooleanField(default=False)
    command = models.BigIntegerField(null=True)


class Event(models.Model):
    at = models.DateTimeField(auto_now_add=True)
    relay = models.ForeignKey(Relay, models.CASCADE)
    of = models.ForeignKey("self", models.CASCADE, null=True)
    outcome = models.CharField(max_length=20)

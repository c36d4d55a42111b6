"""The admin, and nothing else: the four APIs are Fourfold's."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]

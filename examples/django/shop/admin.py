"""The shop in Django's admin."""

from django.contrib import admin

from .models import Customer, Order, OrderLine, Product


class LineInline(admin.TabularInline):
    model = OrderLine
    extra = 0


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    inlines = [LineInline]
    list_display = ["id", "customer", "state", "placed_at"]


admin.site.register([Customer, Product])

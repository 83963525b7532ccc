"""The models, as they are after the last migration."""

from __future__ import annotations

from django.db import models


class Maker(models.Model):
    name = models.CharField(max_length=100, unique=True)


class Item(models.Model):
    title = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    maker = models.ForeignKey(Maker, null=True, on_delete=models.CASCADE, related_name="items")
    in_stock = models.BooleanField(default=True)
    tags = models.ManyToManyField("Tag", blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(condition=models.Q(price__gte=0), name="price_not_negative"),
        )
        indexes = (models.Index(fields=["title"], name="item_title"),)


class Tag(models.Model):
    word = models.SlugField(unique=True)

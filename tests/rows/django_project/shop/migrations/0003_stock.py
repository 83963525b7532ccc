from __future__ import annotations

from typing import Any

from django.db import migrations, models


def name_makers(apps: Any, schema_editor: Any) -> None:
    """Data moves with the schema."""
    maker = apps.get_model("shop", "Maker").objects.create(name="unknown")
    apps.get_model("shop", "Item").objects.filter(maker=None).update(maker=maker)


class Migration(migrations.Migration):
    """Data, a column gone, one with a default, a type changed, a constraint, many to many."""

    dependencies = (("shop", "0002_makers"),)
    operations = (
        migrations.RunPython(name_makers, migrations.RunPython.noop),
        migrations.RemoveField(model_name="item", name="old_code"),
        migrations.AddField(
            model_name="item", name="in_stock", field=models.BooleanField(default=True)
        ),
        migrations.AlterField(
            model_name="item",
            name="price",
            field=models.DecimalField(max_digits=8, decimal_places=2, default=0),
        ),
        migrations.AddConstraint(
            model_name="item",
            constraint=models.CheckConstraint(
                condition=models.Q(price__gte=0), name="price_not_negative"
            ),
        ),
        migrations.AddIndex(
            model_name="item", index=models.Index(fields=["title"], name="item_title")
        ),
        migrations.CreateModel(
            name="Tag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("word", models.SlugField(unique=True)),
            ],
        ),
        migrations.AddField(
            model_name="item",
            name="tags",
            field=models.ManyToManyField(blank=True, to="shop.tag"),
        ),
    )

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """A new table, a foreign key to it, a column renamed and one altered: SQLite rebuilds."""

    dependencies = (("shop", "0001_initial"),)
    operations = (
        migrations.CreateModel(
            name="Maker",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
            ],
        ),
        migrations.AddField(
            model_name="item",
            name="maker",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="items",
                to="shop.maker",
            ),
        ),
        migrations.RenameField(model_name="item", old_name="name", new_name="title"),
        migrations.AlterField(
            model_name="item", name="title", field=models.CharField(max_length=200)
        ),
    )

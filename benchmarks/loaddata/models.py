"""The forum's models once more: Django's fixtures need its own."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Forum:
    """What all of them say."""

    app_label: ClassVar[str] = "loaddata"


class User(models.Model):
    """Ten columns, three of them JSON."""

    id = models.IntegerField(primary_key=True)
    uid = models.CharField(max_length=80, unique=True)
    email = models.CharField(max_length=120)
    active = models.BooleanField()
    balance = models.DecimalField(max_digits=12, decimal_places=2)
    joined = models.DateTimeField()
    settings = models.JSONField()
    skills = models.JSONField()
    history = models.JSONField()
    bio = models.TextField(null=True)

    class Meta(Forum):
        db_table = "users"


class Post(models.Model):
    """A text of 200 to 2,000 bytes, and some bytes."""

    id = models.IntegerField(primary_key=True)
    user = models.ForeignKey(User, models.CASCADE)
    title = models.CharField(max_length=200)
    body = models.TextField()
    posted = models.DateTimeField(db_index=True)
    score = models.FloatField()
    picture = models.BinaryField(null=True)

    class Meta(Forum):
        db_table = "posts"


class Tag(models.Model):
    """A word."""

    id = models.IntegerField(primary_key=True)
    name = models.CharField(max_length=60, unique=True)

    class Meta(Forum):
        db_table = "tags"


class PostTag(models.Model):
    """A composite key."""

    pk = models.CompositePrimaryKey("post_id", "tag_id")
    post = models.ForeignKey(Post, models.CASCADE)
    tag = models.ForeignKey(Tag, models.CASCADE, db_index=False)

    class Meta(Forum):
        db_table = "post_tags"


class Follow(models.Model):
    """Two keys to one table."""

    pk = models.CompositePrimaryKey("follower_id", "followed_id")
    follower = models.ForeignKey(User, models.CASCADE, related_name="follows")
    followed = models.ForeignKey(User, models.CASCADE, related_name="followers")
    since = models.DateTimeField()

    class Meta(Forum):
        db_table = "follows"

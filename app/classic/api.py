"""Where the classic API has its records, in all of its versions; measured on running deployments.

Newer versions have ``/api/export/<type>`` for admins; older ones have ``/api/user`` and ``/api/section`` alone. A fork
has three more exports. Lists without pages and total give so many records as are asked for, 200 by default.
"""

from __future__ import annotations

from ..transfer.endpoints import CookieAuth, Endpoint, Files, PageNumberPaginator, RestApi, SinglePagePaginator

_NUMBERED = PageNumberPaginator(
    page_selector=("pagination.page", "page"), has_more_path=("pagination.has_next", "has_next")
)
_LIMITED = SinglePagePaginator(limit_param="limit")


def _paged(
    name: str,
    path: str = "",
    key: tuple[str, ...] | str = "id",
    *,
    records: str = "",
    nullable: bool = False,
    covers: tuple[str, ...] = (),
    required: bool = False,
    alternatives: tuple[Endpoint, ...] = (),
) -> Endpoint:
    """A list in pages; some versions ignore that and answer a bare list."""
    return Endpoint(
        name,
        path or f"/api/export/{name}",
        (records or name, "$"),
        key,
        key_may_be_null=nullable,
        paginator=_NUMBERED,
        total_selector=("pagination.total", "total"),
        count_selector="count",
        covers=covers,
        required=required,
        alternatives=alternatives,
    )


def _whole(name: str, *alternatives: Endpoint) -> Endpoint:
    """A list that always comes whole."""
    return Endpoint(name, f"/api/export/{name}", (name, "$"), count_selector="count", alternatives=alternatives)


def _scores(name: str, path: str) -> Endpoint:
    """A leaderboard: an export of the fork, anonymous lists elsewhere."""
    return _paged(name, alternatives=(Endpoint(name, path, paginator=_LIMITED),))


api = RestApi(
    # The cookie's name differs by deployment; older versions answer a token that expired with 500.
    auth=CookieAuth("/api/authenticate", uid_field="uid", token_selector="token", expired=(401, 500)),  # noqa: S106 # a place
    headers={"X-Origin": "client"},
    files=(Files("/uploads/{uid}/{pfp}", parent=("users", "user")),),
    endpoints=(
        _paged("users"),
        _paged("topics"),
        _paged("microblogs"),
        _paged("posts"),
        _paged("personas"),
        # Without ids; where the user or the persona is gone, its name is absent.
        _paged("user_personas", key=("userUid", "personaAlias"), nullable=True),
        _whole("sections", Endpoint("sections", "/api/section")),
        _whole("classrooms"),
        _whole("feedback"),
        _whole("study"),
        _scores("leaderboard", "/api/dynamic/leaderboard"),
        _scores("elementary_leaderboard", "/api/events/ELEMENTARY_LEADERBOARD"),
        _paged(
            "skill_snapshots",
            alternatives=(
                Endpoint("skill_passport", "/api/admin/skill-passport/{id}", key="user_id", parent=("users", "user")),
            ),
        ),
        # The year of an enrolment is here and nowhere else; older versions have nothing besides.
        _paged("user", "/api/user", records="users", covers=("users", "sections"), required=True),
    ),
)

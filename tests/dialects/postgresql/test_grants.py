"""Owners and privileges stay with the names."""

from __future__ import annotations

import re
import secrets

from app.dialects import dialect_for
from tests.dialects.rooms import Room
from tests.support.servers.postgresql import PostgreSQL

from .schemas import ask, staged, swap


def test_owners_and_privileges_stay_with_the_names(owned: Room) -> None:
    script = (
        "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE users (id serial PRIMARY KEY, name text, feels mood);"
        "CREATE TABLE posts (id int GENERATED ALWAYS AS IDENTITY); CREATE VIEW names AS SELECT name FROM users;"
        "CREATE FUNCTION f(m mood) RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    owned.execute(script)
    owned.execute(
        "GRANT SELECT ON users, names TO reader; GRANT UPDATE (name) ON users TO reader;"
        "GRANT INSERT ON posts TO reader WITH GRANT OPTION; GRANT USAGE ON users_id_seq TO reader;"
        "REVOKE ALL ON FUNCTION f FROM PUBLIC; GRANT EXECUTE ON FUNCTION f TO reader;"
        "REVOKE USAGE ON TYPE mood FROM PUBLIC; GRANT CREATE ON SCHEMA public TO reader;"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader;"
        "ALTER TABLE users OWNER TO owner; ALTER TABLE posts OWNER TO owner; ALTER VIEW names OWNER TO owner;"
        "ALTER FUNCTION f OWNER TO owner; ALTER TYPE mood OWNER TO owner;"
        "COMMENT ON SCHEMA public IS 'what it is for'"
    )
    rights = (
        "SELECT concat_ws(' ', c.relname, pg_get_userbyid(relowner), (SELECT string_agg(a::text, ',' ORDER BY a::text)"
        " FROM unnest(relacl) a), (SELECT string_agg(attname || attacl::text, ',') FROM pg_attribute"
        " WHERE attrelid = c.oid AND attacl IS NOT NULL)) FROM pg_class c"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S') AND relname <> 'fresh'"
        " UNION ALL SELECT concat_ws(' ', proname, pg_get_userbyid(proowner), (SELECT string_agg(a::text, ',' ORDER BY"
        " a::text) FROM unnest(proacl) a)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " UNION ALL SELECT concat_ws(' ', typname, pg_get_userbyid(typowner), typacl::text) FROM pg_type"
        " WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'"
        " UNION ALL SELECT concat_ws(' ', 'schema', pg_get_userbyid(nspowner), (SELECT string_agg(a::text, ',' ORDER BY"
        " a::text) FROM unnest(nspacl) a), obj_description(oid, 'pg_namespace')) FROM pg_namespace"
        " WHERE nspname = 'public'"
        " UNION ALL SELECT concat_ws(' ', 'default', defaclrole::regrole, defaclobjtype, defaclacl::text)"
        " FROM pg_default_acl WHERE defaclnamespace = 'public'::regnamespace ORDER BY 1"
    )

    def plain() -> list[str]:
        # Who granted it differs where an owner did so itself.
        return [re.sub(r"/\w+", "", text) for text in ask(owned, rights)]

    before = plain()
    assert any("reader=a*" in text for text in before)
    assert any("what it is for" in text for text in before)
    staging = staged(owned, script)
    owned.execute("CREATE TABLE fresh (x int)", url=staging)
    owned.dialect.set_mark(staging, "0badcafe")
    old = swap(owned, staging)
    assert owned.dialect.mark(owned.target) == "0badcafe"
    assert plain() == [text.replace("is for", "is for [ferry 0badcafe]") for text in before]
    fresh = "SELECT concat_ws(' ', pg_get_userbyid(relowner), has_table_privilege('reader', oid, 'SELECT')::text) "
    assert ask(owned, f"{fresh} FROM pg_class WHERE relname = 'fresh'") == ["owner true"]
    back = owned.other("back")
    owned.dialect.copy(old, back, timeout_s=5)
    owned.dialect.set_mark(back, "00000abc")
    swap(owned, back, "0000000d-old")
    assert plain() == [text.replace("is for", "is for [ferry 00000abc]") for text in before]
    owned.dialect.set_mark(owned.target, "")
    assert plain() == before


def test_a_member_of_the_owner_may_cut_over(postgresql: PostgreSQL, owned: Room) -> None:
    member = f"member{secrets.token_hex(3)}"
    postgresql.execute(f"CREATE ROLE {member} LOGIN PASSWORD 'm' IN ROLE owner")
    owned.execute(
        f'CREATE TABLE t (x int); ALTER TABLE t OWNER TO owner; GRANT CREATE ON DATABASE "{owned.target.database}"'
        f" TO {member}; ALTER SCHEMA public OWNER TO {member}"
    )
    url = owned.target.set(username=member, password="m")
    dialect = dialect_for(url, directory=owned.directory)
    dialect.preflight(url)
    staging = dialect.staging_url(url, "one")
    dialect.prepare_staging(staging, url)
    owned.execute(f"SET ROLE {member}; CREATE TABLE t (x int); CREATE TABLE fresh (x int)", url=staging)
    with dialect.fence(url) as fence:
        old = dialect.generation_url(url, "0000000c-old")
        dialect.swap(staging, url, old, fence, fence.token(), timeout_s=5)
    owners = "SELECT pg_get_userbyid(relowner) || has_schema_privilege('owner', 'public', 'CREATE') FROM pg_class "
    assert ask(owned, f"{owners} WHERE relname IN ('t', 'fresh') AND relnamespace = 'public'::regnamespace") == [
        "ownerfalse",
        "ownerfalse",
    ]

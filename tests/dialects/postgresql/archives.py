"""PostgreSQL: real archives of ``pg_dump`` in which something was changed afterwards."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sqlalchemy import URL

from tests.support.servers.postgresql import program


def plain_dump(url: URL, to: Path, *more: str) -> Path:
    """An archive of the schema ``public`` whose rows are not compressed, so that a change of the same length fits."""
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": str(url.password), "LC_ALL": "C"}
    where = ["-h", str(url.host), "-p", str(url.port), "-U", str(url.username), str(url.database)]
    command = [program("pg_dump"), "-Fc", "-Z0", "-n", "public", *more, "-f", str(to), *where]
    subprocess.run(command, check=True, env=environment, timeout=60)
    return to


def forge(archive: Path, old: str, new: str) -> Path:
    """Change a text of an archive, wherever it stands in it, to one that is no longer; blanks fill it up."""
    content = archive.read_bytes()
    assert old.encode() in content, old
    assert len(new.encode()) <= len(old.encode()), (new, len(new) - len(old))
    archive.write_bytes(content.replace(old.encode(), new.encode().ljust(len(old.encode()))))
    return archive


def script_of(archive: Path) -> str:
    """What ``pg_restore`` writes of it."""
    command = [program("pg_restore"), "-f", "-", str(archive)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


STATEMENTS = [
    "COMMIT; DELETE FROM public.posts;",
    "COMMIT; DELETE FROM public.posts; BEGIN;",
    "COMMIT;",
    "END;",
    "ROLLBACK;",
    "ABORT;",
    "BEGIN;",
    "START TRANSACTION;",
    "SAVEPOINT a;",
    "RELEASE SAVEPOINT a;",
    "PREPARE TRANSACTION 'a';",
    "SET TRANSACTION READ ONLY;",
    "SET CONSTRAINTS ALL IMMEDIATE;",
    "\\! touch {touched}\n",
    "\\connect postgres\n",
    "\\copy public.tags from '/etc/passwd'\n",
    "\\i {touched}\n",
    "\\g |touch {touched}\n",
    "SELECT 1 \\g |touch {touched}\n",
    "\\restrict a b\n",
    "DO $$BEGIN DELETE FROM ferry_hold.posts; END$$;",
    "DO LANGUAGE plpgsql 'BEGIN COMMIT; END';",
    "CALL public.p();",
    "DROP SCHEMA ferry_hold CASCADE;",
    "DROP TABLE public.tags;",
    "UPDATE ferry_hold.posts SET words = '';",
    "DELETE FROM public.tags;",
    "INSERT INTO public.tags VALUES (3);",
    "TRUNCATE public.tags;",
    "LOCK TABLE public.tags;",
    "SELECT 1;",
    "WITH gone AS (DELETE FROM public.tags RETURNING 1) SELECT 1;",
    "TABLE public.tags;",
    "VALUES (1);",
    "EXPLAIN ANALYZE DELETE FROM public.tags;",
    "COPY public.tags TO '/tmp/x';",
    "COPY public.tags TO PROGRAM 'touch {touched}';",
    "COPY public.tags FROM PROGRAM 'touch {touched}';",
    "COPY public.tags FROM '/etc/passwd';",
    "COPY public.tags (id) FROM stdin WITH (FREEZE);",
    "COPY (SELECT 1) TO stdout;",
    "COPY ferry_hold.posts FROM stdin;",
    "COPY other.posts FROM stdin;",
    "CREATE ROLE evil;",
    "ALTER ROLE app PASSWORD 'evil';",
    "ALTER USER app SET search_path = evil;",
    "ALTER DATABASE x SET search_path = evil;",
    "ALTER SYSTEM SET archive_command = 'touch {touched}';",
    "CREATE EXTENSION dblink;",
    "CREATE SERVER s FOREIGN DATA WRAPPER w;",
    "CREATE USER MAPPING FOR app SERVER s;",
    "CREATE SCHEMA evil;",
    "ALTER SCHEMA public RENAME TO evil;",
    "ALTER SCHEMA ferry_hold RENAME TO evil;",
    "CREATE DATABASE evil;",
    "CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION public.f();",
    "CREATE LANGUAGE plpython3u;",
    "CREATE CAST (int AS text) WITH INOUT;",
    "CREATE PUBLICATION evil FOR ALL TABLES;",
    "SET ROLE postgres;",
    "SET SESSION AUTHORIZATION app; DROP TABLE public.tags;",
    "RESET ROLE;",
    "SET search_path = ferry_hold;",
    "SET LOCAL search_path TO ferry_hold;",
    "SET client_encoding = 'SJIS';",
    "SET client_encoding = 'GBK';",
    "SET standard_conforming_strings = off;",
    "SET session_replication_role = replica;",
    "SELECT pg_catalog.set_config('search_path', 'ferry_hold', false);",
    "SELECT pg_catalog.set_config('role', 'postgres', false);",
    "SELECT pg_catalog.setval('ferry_hold.posts_id_seq', 1, true);",
    "SELECT pg_catalog.setval('other.posts_id_seq', 1, true);",
    "SELECT pg_catalog.setval('posts_id_seq', 1, true);",
    "SELECT pg_catalog.setval('public.posts_id_seq', public.f(), true);",
    "SELECT pg_catalog.setval('public.posts_id_seq', 1, true), 1;",
    "SELECT pg_catalog.setval('public.posts_id_seq', 1, true) FROM public.loud;",
    "SELECT pg_catalog.pg_terminate_backend(1);",
    "CREATE TABLE other.evil (id int);",
    "CREATE TABLE evil (id int);",
    "CREATE TABLE ferry_hold.evil (id int);",
    "CREATE TABLE public.evil (id) AS SELECT 1;",
    "CREATE TABLE public.evil AS SELECT 1;",
    "CREATE TEMP TABLE evil (id int);",
    "SELECT 1 INTO public.evil;",
    "CREATE TABLE postgres.public.evil (id int);",
    "CREATE MATERIALIZED VIEW public.evil AS SELECT 1 WITH DATA;",
    "CREATE MATERIALIZED VIEW public.evil AS SELECT 1;",
    "CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
    "CREATE FUNCTION ferry_hold.f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS '/tmp/evil.so', 'f';",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE internal AS 'int4in';",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE plpython3u AS 'import os';",
    "CREATE FUNCTION public.f() RETURNS int AS 'SELECT 1' LANGUAGE 'c';",
    "CREATE TRIGGER evil AFTER INSERT ON ferry_hold.posts FOR EACH ROW EXECUTE FUNCTION public.f();",
    "CREATE TRIGGER evil AFTER INSERT ON other.posts FOR EACH ROW EXECUTE FUNCTION public.f();",
    "CREATE RULE evil AS ON INSERT TO other.posts DO INSTEAD NOTHING;",
    "CREATE INDEX evil ON other.posts USING btree (id);",
    "CREATE POLICY evil ON other.posts;",
    "ALTER TABLE other.posts ENABLE ROW LEVEL SECURITY;",
    "ALTER TABLE public.tags OWNER TO postgres;",
    "ALTER TABLE public.tags SET SCHEMA ferry;",
    "ALTER TABLE public.tags RENAME TO evil;",
    "ALTER TABLE public.tags ALTER COLUMN id TYPE text;",
    "ALTER TABLE public.tags ADD CONSTRAINT a CHECK (true), OWNER TO postgres;",
    "ALTER SEQUENCE public.posts_id_seq OWNED BY other.posts.id;",
    "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;",
    "GRANT ALL ON TABLE other.posts TO PUBLIC;",
    "GRANT ALL ON TABLE public.tags, other.posts TO PUBLIC;",
    "GRANT ALL ON ALL TABLES IN SCHEMA ferry_hold TO PUBLIC;",
    "GRANT ALL ON SCHEMA public TO PUBLIC;",
    "GRANT ALL ON DATABASE x TO PUBLIC;",
    "GRANT app TO evil;",
    "REASSIGN OWNED BY app TO evil;",
    "COMMENT ON SCHEMA public IS 'evil';",
    "COMMENT ON TABLE other.posts IS 'evil';",
    "COMMENT ON DATABASE x IS 'evil';",
    "SECURITY LABEL ON TABLE other.posts IS 'evil';",
    "REFRESH MATERIALIZED VIEW other.v;",
    "LOAD 'evil';",
    "LISTEN evil;",
    "NOTIFY evil;",
    "VACUUM;",
    "CLUSTER public.tags;",
    "REINDEX TABLE public.tags;",
    "DISCARD ALL;",
    "CHECKPOINT;",
    "PREPARE a AS SELECT 1;",
    "DECLARE a CURSOR FOR SELECT 1;",
    "IMPORT FOREIGN SCHEMA a FROM SERVER s INTO public;",
    # What ends early, or hides its end
    "COMMENT ON TABLE public.tags IS 'a'; COMMIT; --';",
    "COMMENT ON TABLE public.tags IS E'a\\\\'; COMMIT; --';",
    "COMMENT ON TABLE public.tags IS 'a\\'; COMMIT; --';",
    "COMMENT ON TABLE public.tags IS 'a' /* ; */; COMMIT;",
    "/* a /* b */ ; */ COMMIT;",
    "-- a\nCOMMIT;",
    "-- a\rCOMMIT;",
    "COMMENT ON TABLE public.tags IS $a$ $b$ $a$; COMMIT; --$b$ $a$;",
    "COMMENT ON TABLE public.tags IS U&'a'; COMMIT;",
    "COMMENT ON TABLE public.tags IS 'a",
    "COMMENT ON TABLE public.tags IS $a$ never ends;",
    'COMMENT ON TABLE public."tags IS 1;',
    "CREATE TABLE public.never (;",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; COMMIT; END; COMMIT;",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; COMMIT;",
    "CREATE RULE r AS ON INSERT TO public.tags DO (SELECT 1; COMMIT); COMMIT;",
    ";;COMMIT;",
    "COMMENT ON TABLE public.tags IS NULL\vCOMMIT;",
]
"""What no dump holds, or what ends elsewhere than it seems to. Some stand for one that psql would run."""

"""May statements be measured here, and as whom? The role and the function for it.

`EXPLAIN (ANALYZE)` runs the statement. It does so inside of a SECURITY DEFINER
function that belongs to a role which cannot log in and may read only: from there no
`SET ROLE` and no `set_config('role', …)` leads back to the application's rights. The
function takes no SQL; it runs the one statement that was prepared beforehand, with
values that it quotes itself.
"""

from psycopg import Connection

ROLE = "backoffice_explain"
SCHEMA = "backoffice_explain"
# What the function executes: prepared by the session that calls it.
PREPARED = "backoffice_explained"
CALL = f"SELECT {SCHEMA}.measure(%s::text[], %s::text)"

_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.measure(given text[], options text)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = %s, pg_temp
AS $function$
DECLARE
  listed text;
  plan json;
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles
             WHERE rolname = current_user AND (rolsuper OR rolcanlogin)) THEN
    RAISE insufficient_privilege USING MESSAGE =
      'the owner of this function must be a role without login that is no superuser';
  END IF;
  IF pg_catalog.current_setting('transaction_read_only') <> 'on' THEN
    RAISE read_only_sql_transaction USING MESSAGE =
      'statements are measured in transactions that only read';
  END IF;
  IF options !~ '^[A-Z]+( TEXT)?(, [A-Z]+( TEXT)?)*$' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'unknown options';
  END IF;
  SELECT pg_catalog.string_agg(pg_catalog.quote_nullable(one), ', ')
    INTO listed FROM pg_catalog.unnest(given) AS one;
  EXECUTE 'EXPLAIN (' || options || ', FORMAT JSON) EXECUTE {PREPARED}'
    || pg_catalog.coalesce('(' || listed || ')', '') INTO plan;
  RETURN plan;
END
$function$""".replace("pg_catalog.coalesce", "coalesce")

# Every step is one that an administrator could type; who lacks the right to one of
# them gets a notice, and measuring stays off.
INSTALL = f"""
DO $install$
DECLARE
  is_new boolean := current_setting('server_version_num')::int >= 160000;
  place text;
  places text[] := '{{}}';
BEGIN
  BEGIN
    CREATE ROLE {ROLE} NOLOGIN;
  EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN
    NULL;
  END;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}'
                 AND NOT rolsuper AND NOT rolcanlogin) THEN
    RAISE NOTICE 'There is no role {ROLE}: statements are not measured here.';
    RETURN;
  END IF;
  IF NOT pg_has_role(current_user, '{ROLE}',
                     CASE WHEN is_new THEN 'SET' ELSE 'MEMBER' END) THEN
    EXECUTE 'GRANT {ROLE} TO CURRENT_USER'
      || CASE WHEN is_new THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END;
  END IF;
  CREATE SCHEMA IF NOT EXISTS {SCHEMA};
  FOREACH place IN ARRAY current_schemas(false) LOOP
    places := places || quote_ident(place);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO {ROLE}', place);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO {ROLE}', place);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I '
                   'GRANT SELECT ON TABLES TO {ROLE}', place);
  END LOOP;
  FOR place IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relname IN
    ('backoffice_users', 'backoffice_sessions', 'backoffice_login_attempts') LOOP
    EXECUTE format('REVOKE SELECT ON %s FROM {ROLE}', place);
  END LOOP;
  EXECUTE format($make${_FUNCTION}$make$, array_to_string(places, ', '));
  -- Who may use the schema may call it: its owner, and nobody else.
  REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC;
  GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO {ROLE};
  ALTER FUNCTION {SCHEMA}.measure(text[], text) OWNER TO {ROLE};
  REVOKE CREATE ON SCHEMA {SCHEMA} FROM {ROLE};
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'Statements are not measured here: %', SQLERRM;
END
$install$"""

# The role stays: it belongs to the server, and other databases may use it.
REMOVE = f"""
DO $remove$
DECLARE
  place text;
BEGIN
  DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
    FOREACH place IN ARRAY current_schemas(false) LOOP
      EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I '
                     'REVOKE SELECT ON TABLES FROM {ROLE}', place);
      EXECUTE format('REVOKE SELECT ON ALL TABLES IN SCHEMA %I FROM {ROLE}', place);
      EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM {ROLE}', place);
    END LOOP;
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'The rights of {ROLE} stay: %', SQLERRM;
END
$remove$"""

_STATE = f"""
SELECT r.rolsuper, r.rolcanlogin,
       has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_roles r ON r.oid = p.proowner
WHERE n.nspname = '{SCHEMA}' AND p.proname = 'measure' AND p.prosecdef"""


def why_not_measured(connection: Connection) -> str:
    """Why statements cannot be measured on this server; "" where they can."""
    found = connection.execute(_STATE, prepare=True).fetchone()
    if found is None:
        return (
            f"The role {ROLE} and its function are not set up in this database, and "
            "the application's role may not make them."
        )
    is_superuser, can_log_in, is_granted = found
    if is_superuser or can_log_in:
        return (
            f"The function {SCHEMA}.measure belongs to a role that can log in or is a "
            f"superuser; {ROLE} is neither."
        )
    if not is_granted:
        return f"The application's role may not call {SCHEMA}.measure."
    return ""

"""What keeps a run and its rows together? Triggers, in place of a foreign key.

A foreign key is checked row by row: of the time that writing a million rows down took
it was more than half. These give the same word once for each statement: there are no
rows of a run that is not there, and a run that is deleted takes its rows along.
"""

from backoffice.database.base import OWN_PREFIX
from backoffice.database.triggers import Trigger

RUNS, ROWS = f"{OWN_PREFIX}runs", f"{OWN_PREFIX}run_rows"
HAVE, TAKE = f"{ROWS}_have_a_run", f"{RUNS}_take_their_rows"


# The lock is a foreign key's own: who deletes the run waits for the end of this
# transaction, and then finds the rows.
ROWS_HAVE_A_RUN = Trigger(
    name=HAVE,
    dialect="postgresql",
    create=(
        f"""\
CREATE OR REPLACE FUNCTION {HAVE}() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  number bigint;
BEGIN
  FOR number IN SELECT DISTINCT run_id FROM written LOOP
    PERFORM FROM {RUNS} WHERE id = number FOR KEY SHARE;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'There is no run %.', number
        USING ERRCODE = 'foreign_key_violation';
    END IF;
  END LOOP;
  RETURN NULL;
END $$""",
        f"""\
CREATE OR REPLACE TRIGGER {HAVE} AFTER INSERT ON {ROWS}
REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION {HAVE}()""",
    ),
    drop=(f"DROP FUNCTION IF EXISTS {HAVE}() CASCADE",),
)

RUNS_TAKE_THEIR_ROWS = Trigger(
    name=TAKE,
    dialect="postgresql",
    create=(
        f"""\
CREATE OR REPLACE FUNCTION {TAKE}() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM {ROWS} WHERE run_id = OLD.id;
  RETURN NULL;
END $$""",
        f"""\
CREATE OR REPLACE TRIGGER {TAKE} AFTER DELETE ON {RUNS}
FOR EACH ROW EXECUTE FUNCTION {TAKE}()""",
    ),
    drop=(f"DROP FUNCTION IF EXISTS {TAKE}() CASCADE",),
)

ROWS_HAVE_A_RUN_SQLITE = Trigger(
    name=HAVE,
    dialect="sqlite",
    create=(
        f"""\
CREATE TRIGGER IF NOT EXISTS {HAVE} BEFORE INSERT ON {ROWS}
FOR EACH ROW WHEN NOT EXISTS (SELECT 1 FROM {RUNS} WHERE id = NEW.run_id) BEGIN
  SELECT RAISE(ABORT, 'FOREIGN KEY constraint failed');
END""",
    ),
    drop=(f"DROP TRIGGER IF EXISTS {HAVE}",),
)

RUNS_TAKE_THEIR_ROWS_SQLITE = Trigger(
    name=TAKE,
    dialect="sqlite",
    create=(
        f"""\
CREATE TRIGGER IF NOT EXISTS {TAKE} AFTER DELETE ON {RUNS}
FOR EACH ROW BEGIN
  DELETE FROM {ROWS} WHERE run_id = OLD.id;
END""",
    ),
    drop=(f"DROP TRIGGER IF EXISTS {TAKE}",),
)

"""What the models have that the database has not, written down as a new revision.

Alembic compares tables, columns, defaults, indexes and unique constraints; here are
added the CHECKs, by what they say and not only by name, and the triggers. Tables that
are not in the metadata belong to somebody else and are left alone, so a table whose
model is gone is dropped by a revision that is written by hand.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.autogenerate import RevisionContext, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.operations import MigrateOperation, Operations, ops
from alembic.runtime.plugins import Plugin
from alembic.script import ScriptDirectory
from alembic.util import PriorityDispatchResult
from sqlalchemy import (
    CheckConstraint,
    Connection,
    Dialect,
    Engine,
    Index,
    MetaData,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import AddConstraint, CreateIndex, DropIndex
from sqlalchemy.sql import functions
from sqlalchemy.sql.elements import False_, True_

from backoffice.database import migrations
from backoffice.database.base import OWN_PREFIX
from backoffice.database.catalog import read_triggers
from backoffice.database.migrations import ProjectMigrations, migration_context
from backoffice.database.triggers import (
    Trigger,
    as_ddl,
    touch_trigger,
    triggers_of,
)
from backoffice.errors import EnvironmentProblem, MigrationProblem

# The version table's column is no wider.
_ID_LENGTH = 32
_PLUGIN = "backoffice.autogenerate"


@dataclass(frozen=True, slots=True)
class NewRevision:
    """What a new revision does, line by line, and where it was written, if it was."""

    changes: tuple[str, ...]
    path: Path | None


def make_revision(
    engine: Engine,
    project: ProjectMigrations,
    *,
    name: str = "",
    is_empty: bool = False,
    is_own: bool = False,
    dry_run: bool = False,
) -> NewRevision:
    """Write a revision that brings the database to the models; none if it is there.

    `is_empty` writes one to be filled by hand. `is_own` is for Backoffice's own tables
    and its own branch. `dry_run` only says what it would do.

    Raises:
        MigrationProblem: the database has not had every revision, or the project has
            no directory for its own.
        EnvironmentProblem: the file cannot be written.
    """
    script = migrations.revision_files(project)
    versions = _versions(project, is_own=is_own)
    missing = migrations.pending(engine, project)
    if missing:
        raise MigrationProblem(
            f"The database has not had {', '.join(one.id for one in missing)}; "
            "migrate it first, as it is what the models are compared with."
        )
    with engine.connect() as connection:
        found = _Comparison(connection, script, project, is_own=is_own)
        if not is_empty:
            found.run()
    if dry_run or not (found.changes or is_empty):
        return NewRevision(found.changes, None)
    return NewRevision(found.changes, found.write(versions, name))


class _Comparison:
    """One comparison of a database with the metadata, and the revision made of it."""

    def __init__(
        self,
        connection: Connection,
        script: ScriptDirectory,
        project: ProjectMigrations,
        *,
        is_own: bool,
    ) -> None:
        self.script = script
        self.is_own = is_own
        self.changes: tuple[str, ...] = ()
        metadata = project.metadata
        plain = migrations.for_text(connection.dialect)
        self.only_here = {
            statement.name: statement
            for one in metadata
            for table in one.tables.values()
            for statement in _index_statements(table, plain)
        }
        self.context = migration_context(
            connection,
            script,
            target_metadata=metadata,
            compare_type=True,
            # SQLite gives defaults back in another spelling than they were made with.
            compare_server_default=connection.dialect.name != "sqlite",
            render_item=_render_item,
            include_name=self._includes_name(metadata),
            include_object=self._includes_object(connection),
            # A batch is a plain ALTER on PostgreSQL and makes a table anew on SQLite.
            render_as_batch=True,
            upgrade_token="upgrades",  # noqa: S106 - a name in the template
            downgrade_token="downgrades",  # noqa: S106 - same
            alembic_module_prefix="op.",
            sqlalchemy_module_prefix="sa.",
            user_module_prefix=None,
            process_revision_directives=None,
            autogenerate_plugins=["alembic.autogenerate.*", _PLUGIN],
        )
        self.revision = RevisionContext(
            Config(),
            script,
            {
                "message": "",
                "sql": False,
                "head": "base",
                "splice": False,
                "branch_label": None,
                "version_path": None,
                "rev_id": None,
                "depends_on": None,
            },
        )

    def run(self) -> None:
        """Compare; `changes` says what was found."""
        heads = tuple(self.context.get_current_heads())
        with warnings.catch_warnings():
            # What cannot be compared (SQLite's expressions) is not what was asked.
            warnings.simplefilter("ignore")
            self.revision.run_autogenerate(heads, self.context)
        (generated,) = self.revision.generated_revisions
        up, down = generated.upgrade_ops, generated.downgrade_ops
        if up is None or down is None:
            return
        up.ops = list(_apart(up.ops, self.only_here))
        for operation in up.ops:
            if isinstance(operation, ops.CreateTableOp):
                # What the models say to the floors above is nothing to the database.
                operation.info = {}
        up.reverse_into(down)
        self.changes = tuple(_described(up.ops))

    def write(self, versions: Path, name: str) -> Path:
        """Write the revision's file at the end of its branch."""
        if not self.changes:
            self.revision.run_no_autogenerate((), self.context)
        (generated,) = self.revision.generated_revisions
        heads: Any = self._branch_heads(versions)
        title = name.strip() or _title(self.changes)
        generated.rev_id = self._next_id(versions, title)
        generated.message = title
        generated.head = heads or "base"
        generated.version_path = str(versions)
        if not heads:
            generated.branch_label = migrations.BRANCH if self.is_own else None
            generated.depends_on = None if self.is_own else self._own_head()
        # Text in a revision is no statement yet: its "%" stays single.
        self.context.impl.dialect = migrations.for_text(self.context.impl.dialect)
        try:
            versions.mkdir(parents=True, exist_ok=True)
            with migrations.in_words():
                (written,) = self.revision.generate_scripts()
        except OSError as error:
            raise EnvironmentProblem(
                f"{versions} cannot be written: {error.strerror}."
            ) from error
        if written is None:
            raise MigrationProblem(f"{versions} holds no readable revision {title!r}.")
        return Path(written.path)

    def _branch_heads(self, versions: Path) -> list[str]:
        """The last revisions of the files in `versions`."""
        here = versions.resolve()
        heads = [
            one.revision
            for one in self.script.get_revisions(self.script.get_heads())
            if Path(one.path).is_relative_to(here)
        ]
        if len(heads) > 1:
            raise MigrationProblem(
                f"{' and '.join(heads)} both end the branch; let one follow the other "
                "(its down_revision) before a new one is made."
            )
        return heads or self._covered_head(here)

    def _covered_head(self, here: Path) -> list[str]:
        """The last of our own revisions, which the project's first one hides."""
        ids = [
            one
            for one in self.script.walk_revisions()
            if Path(one.path).is_relative_to(here)
        ]
        followed = {down for one in ids for down in _as_tuple(one.down_revision)}
        return [one.revision for one in ids if one.revision not in followed]

    def _own_head(self) -> str:
        """Our last revision, which a project's first one depends on."""
        (head,) = self._covered_head((migrations.OWN_DIRECTORY / "versions").resolve())
        return head

    def _next_id(self, versions: Path, title: str) -> str:
        """`0003_add_phones`, after the highest number that is there."""
        prefix = f"{migrations.BRANCH}_" if self.is_own else ""
        numbers = [
            int(digits)
            for path in versions.glob("*.py")
            if (digits := path.name.removeprefix(prefix)[:4]).isdigit()
        ]
        words = "_".join("".join(c if c.isalnum() else " " for c in title).split())
        name = f"{prefix}{max(numbers, default=0) + 1:04}_{words.lower()}"
        return name[:_ID_LENGTH].rstrip("_")

    def _includes_name(self, metadata: Iterable[Any]) -> Any:
        ours = {table.name for one in metadata for table in one.tables.values()}

        def includes(name: str | None, kind: str, _parents: object) -> bool:
            return kind != "table" or (name in ours and self._is_mine(name or ""))

        return includes

    def _includes_object(self, connection: Connection) -> Any:
        def includes(
            thing: Any,
            name: str | None,
            kind: str,
            is_reflected: bool,  # noqa: FBT001 - Alembic's signature
            other: object,
        ) -> bool:
            if kind == "table":
                return self._is_mine(name or "")
            if isinstance(thing, Index) and not is_reflected:
                # Alembic takes expressions for changed that PostgreSQL has reworded.
                is_there = other is not None and _is_same_index(connection, thing)
                return is_made_on(thing, connection.dialect.name) and not is_there
            return True

        return includes

    def _is_mine(self, table: str) -> bool:
        return table.startswith(OWN_PREFIX) is self.is_own


def is_made_on(thing: Index | CheckConstraint, dialect: str) -> bool:
    """Whether an index or a rule is for this dialect, as its `ddl_if` says."""
    condition = thing._ddl_if  # noqa: SLF001 - SQLAlchemy has no question for it
    only = condition.dialect if condition else None
    return only is None or dialect in _as_tuple(only)


def _render_item(kind: str, thing: Any, context: AutogenContext) -> str | bool:
    """What Alembic spells for one dialect only; False for all the rest."""
    if kind == "type" and isinstance(thing, JSONB):
        # As a variant it may be rendered where the dialect is another.
        context.imports.add("from sqlalchemy.dialects import postgresql")
        return "postgresql.JSONB(astext_type=sa.Text())"
    argument = getattr(thing, "arg", None)
    if kind != "server_default" or argument is None:
        return False
    if isinstance(argument, functions.now):
        return "sa.func.now()"
    spelled = {True_: "sa.true()", False_: "sa.false()"}
    return spelled.get(type(argument), False)


class TriggerOp(MigrateOperation):
    """Make a trigger, or another thing of one dialect only, or take it away."""

    def __init__(
        self, trigger: Trigger, *, is_drop: bool = False, kind: str = "trigger"
    ) -> None:
        self.trigger = trigger
        self.is_drop = is_drop
        self.kind = kind

    def reverse(self) -> "TriggerOp":
        """The way back."""
        return TriggerOp(self.trigger, is_drop=not self.is_drop, kind=self.kind)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """For Alembic's own list of changes."""
        verb = "drop" if self.is_drop else "add"
        return (f"{verb}_{self.kind}", self.trigger.name)


@Operations.implementation_for(TriggerOp)
def _run_trigger(operations: Operations, operation: TriggerOp) -> None:
    trigger = operation.trigger
    for statement in trigger.drop if operation.is_drop else trigger.create:
        operations.execute(as_ddl(statement))


@renderers.dispatch_for(TriggerOp)
def _render_trigger(context: AutogenContext, operation: TriggerOp) -> list[str]:
    """The text as it is today: a revision does not change when the model does."""
    trigger, is_drop = operation.trigger, operation.is_drop
    table = trigger.name.removesuffix("_touch")
    if trigger == touch_trigger(table):
        function = "leave_updated_at" if is_drop else "touch_updated_at"
        context.imports.add(f"from backoffice.database.triggers import {function}")
        return [f"{function}(op, {table!r})"]
    context.imports.add("from backoffice.database.triggers import execute_on")
    return [
        f"execute_on(\n    op,\n    {trigger.dialect!r},\n    {_literal(statement)},\n)"
        for statement in (trigger.drop if is_drop else trigger.create)
    ]


def _literal(statement: str) -> str:
    """The statement as Python; `execute_on` takes the indentation away again."""
    if '"""' in statement or "\\" in statement or statement != statement.strip():
        return repr(statement)
    indented = statement.replace("\n", "\n    ")
    return f'"""\\\n    {indented}"""' if "\n" in statement else repr(statement)


def _compare_triggers(
    context: AutogenContext,
    modify: ops.ModifyTableOps,
    _schema: str | None,
    _name: str,
    existing: Table | None,
    wanted: Table | None,
) -> PriorityDispatchResult:
    """Triggers that a table should have and has not, or not so."""
    connection = context.connection
    if wanted is None or connection is None:
        return PriorityDispatchResult.CONTINUE
    here = connection.dialect.name
    for trigger in (
        t for d in ("postgresql", "sqlite") for t in triggers_of(wanted, d)
    ):
        if existing is None:
            modify.ops.append(TriggerOp(trigger))
        elif trigger.dialect == here:
            modify.ops.extend(_trigger_changes(connection, wanted, trigger))
    return PriorityDispatchResult.CONTINUE


def _trigger_changes(
    connection: Connection, table: Table, trigger: Trigger
) -> Iterator[TriggerOp]:
    """What makes the trigger so; the way back makes it as it was.

    It is made in a transaction that is rolled back, and then looked at: PostgreSQL
    keeps triggers in words of its own.
    """
    with connection.begin_nested() as trial:
        before = read_triggers(connection, table.name)
        for statement in trigger.drop:
            connection.execute(as_ddl(statement))
        without = read_triggers(connection, table.name)
        for statement in trigger.create:
            connection.execute(as_ddl(statement))
        after = read_triggers(connection, table.name)
        trial.rollback()
    if before == after:
        return
    old = dict.fromkeys(
        statement
        for name, statements in before.items()
        if name not in without
        for statement in statements
    )
    if old:
        there = Trigger(trigger.name, trigger.dialect, tuple(old), trigger.drop)
        yield TriggerOp(there, is_drop=True)
    yield TriggerOp(trigger)


def _compare_checks(
    context: AutogenContext,
    modify: ops.ModifyTableOps,
    _schema: str | None,
    _name: str,
    existing: Table | None,
    wanted: Table | None,
) -> PriorityDispatchResult:
    """Rules that a table should have and has not, or not so, or should not have."""
    connection = context.connection
    if wanted is None or existing is None or connection is None:
        return PriorityDispatchResult.CONTINUE
    inspector = context.inspector
    there = {
        rule["name"]: rule["sqltext"]
        for rule in inspector.get_check_constraints(wanted.name, wanted.schema)
        if rule["name"]
    }
    named = {
        connection.dialect.identifier_preparer.format_constraint(rule): rule
        for rule in sorted(
            (
                c
                for c in wanted.constraints
                if isinstance(c, CheckConstraint)
                and is_made_on(c, connection.dialect.name)
            ),
            key=lambda rule: str(rule.name),
        )
        if rule.name
    }
    rules = {name.strip('"'): rule for name, rule in named.items() if name}
    for name in sorted(there.keys() - rules.keys()):
        rule = CheckConstraint(there[name], name=name, table=existing)
        modify.ops.append(ops.DropConstraintOp.from_constraint(rule))
    for name, rule in rules.items():
        if name not in there:
            modify.ops.append(ops.AddConstraintOp.from_constraint(rule))
        elif _says_otherwise(connection, rule, name, there[name]):
            old = CheckConstraint(there[name], name=name, table=existing)
            modify.ops.append(ops.DropConstraintOp.from_constraint(old))
            modify.ops.append(ops.AddConstraintOp.from_constraint(rule))
    return PriorityDispatchResult.CONTINUE


def _says_otherwise(
    connection: Connection, rule: CheckConstraint, name: str, there: str
) -> bool:
    """Whether the rule that is there says something else."""
    if connection.dialect.name != "postgresql":
        return " ".join(there.split()) != " ".join(str(rule.sqltext).split())
    definition = text(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = CAST(:table AS regclass) AND conname = :name"
    )
    asked = {"table": _quoted_name(connection, rule.table), "name": name}
    said = connection.scalar(definition, asked)
    with _shadow_table(connection, rule.table):
        copy = Table(rule.table.name, MetaData())
        trying = CheckConstraint(rule.sqltext, name=name)
        copy.append_constraint(trying)
        connection.execute(AddConstraint(trying))
        return bool(said != connection.scalar(definition, asked))


def _is_same_index(connection: Connection, index: Index) -> bool:
    """Whether the index of this name in the database is this one, to the letter."""
    table = index.table
    if connection.dialect.name != "postgresql" or table is None or table.schema:
        return False
    definition = text(
        "SELECT pg_get_indexdef(indexrelid), indrelid FROM pg_index"
        " WHERE indexrelid = CAST(:name AS regclass)"
    )
    quote = connection.dialect.identifier_preparer.quote
    asked = {"name": quote(str(index.name))}
    said = connection.execute(definition, asked).scalar_one()
    with _shadow_table(connection, table):
        connection.execute(CreateIndex(index))
        wanted = connection.execute(definition, asked).scalar_one()
    # The names before it differ by the schema of the shadow.
    unique, using = "CREATE UNIQUE", " USING "
    return said.startswith(unique) is wanted.startswith(unique) and (
        said.partition(using)[2] == wanted.partition(using)[2]
    )


@contextmanager
def _shadow_table(connection: Connection, table: Table) -> Iterator[None]:
    """An empty temporary table in front of `table`, to see how PostgreSQL puts things.

    PostgreSQL keeps rules and expressions in words of its own; only words that went
    the same way can be compared. Nothing of it stays, and `table` is not locked.
    """
    name = connection.dialect.identifier_preparer.quote(table.name)
    with connection.begin_nested() as trial:
        source = _quoted_name(connection, table)
        connection.execute(as_ddl(f"CREATE TEMPORARY TABLE {name} (LIKE {source})"))
        yield
        trial.rollback()


def _quoted_name(connection: Connection, table: Table) -> str:
    return connection.dialect.identifier_preparer.format_table(table)


def _versions(project: ProjectMigrations, *, is_own: bool) -> Path:
    """Where the new file goes."""
    if is_own:
        return migrations.OWN_DIRECTORY / "versions"
    versions = migrations.project_versions(project)
    if versions is None:
        raise MigrationProblem(
            "The project has no directory for revisions that Backoffice writes. To "
            "have some, let app.migrations in settings.toml name a directory that "
            "exists and holds no env.py of Alembic's own."
        )
    return versions


def _apart(
    found: Iterable[MigrateOperation], only_here: Mapping[str, Trigger]
) -> Iterator[MigrateOperation]:
    """What is of one dialect, after its table's other changes, which are a batch."""
    for operation in found:
        if not isinstance(operation, ops.ModifyTableOps):
            yield operation
            continue
        inner = [_of_one_dialect(one, only_here) for one in operation.ops]
        operation.ops = [one for one in inner if not isinstance(one, TriggerOp)]
        if operation.ops:
            yield operation
        yield from (one for one in inner if isinstance(one, TriggerOp))


def _of_one_dialect(
    operation: MigrateOperation, only_here: Mapping[str, Trigger]
) -> MigrateOperation:
    """An index that other dialects do not have, as the statement that makes it."""
    if isinstance(operation, ops.CreateIndexOp):
        statement = only_here.get(operation.index_name or "")
        if statement is not None:
            return TriggerOp(statement, kind="index")
    return operation


def _index_statements(table: Table, dialect: Dialect) -> Iterator[Trigger]:
    """The indexes of a table that are made on this dialect only."""
    for index in table.indexes:
        if index._ddl_if is not None:  # noqa: SLF001 - SQLAlchemy has no question for it
            yield Trigger(
                name=str(index.name),
                dialect=dialect.name,
                create=(str(CreateIndex(index).compile(dialect=dialect)).strip(),),
                drop=(str(DropIndex(index).compile(dialect=dialect)).strip(),),
            )


def _described(found: Iterable[MigrateOperation]) -> Iterable[str]:
    """One line for each operation."""
    for operation in found:
        if isinstance(operation, ops.ModifyTableOps):
            for inner in operation.ops:
                yield f"{operation.table_name}: {_line(inner)}"
        else:
            yield _line(operation)


def _line(operation: MigrateOperation) -> str:  # noqa: PLR0911 - one for each kind
    match operation:
        case ops.CreateTableOp():
            return f"create table {operation.table_name}"
        case ops.DropTableOp():
            return f"drop table {operation.table_name}"
        case ops.AddColumnOp():
            return f"add column {operation.column.name}"
        case ops.DropColumnOp():
            return f"drop column {operation.column_name}"
        case ops.AlterColumnOp():
            return f"alter column {operation.column_name}"
        case ops.CreateIndexOp():
            return f"create index {operation.index_name}"
        case ops.DropIndexOp():
            return f"drop index {operation.index_name}"
        case ops.AddConstraintOp():
            return f"add constraint {operation.to_constraint().name}"
        case ops.DropConstraintOp():
            return f"drop constraint {operation.constraint_name}"
        case TriggerOp():
            verb = "drop" if operation.is_drop else "create"
            name, dialect = operation.trigger.name, operation.trigger.dialect
            return f"{verb} {operation.kind} {name} ({dialect})"
    return type(operation).__name__


def _title(changes: tuple[str, ...]) -> str:
    """A name for a revision that was given none."""
    if not changes:
        return "By hand"
    if len(changes) == 1:
        return changes[0].replace(":", "").capitalize()
    tables = dict.fromkeys(change.partition(":")[0].split()[-1] for change in changes)
    return f"Change {' and '.join(list(tables)[:2])}"


def _as_tuple(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


_plugin = Plugin(_PLUGIN)
_plugin.add_autogenerate_comparator(_compare_checks, "table", "backoffice_checks")
_plugin.add_autogenerate_comparator(_compare_triggers, "table", "backoffice_triggers")

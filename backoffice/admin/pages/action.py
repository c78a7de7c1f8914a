"""An action on chosen records: what it is told, what it would do, and its run."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from urllib.parse import urlencode

from sqlalchemy import text

from backoffice.admin.actions import ActionSpec, Does, Selected
from backoffice.admin.call import Call, Page, Redirect, Reply, address
from backoffice.admin.fields import (
    field_view,
    submitted_texts,
    typed_fields,
)
from backoffice.admin.frame import frame
from backoffice.admin.model_view import ModelView
from backoffice.admin.own_names import DO, SET
from backoffice.admin.pages import choosing
from backoffice.admin.pages.choosing import rows_url
from backoffice.admin.pages.chosen import (
    UNDO,
    action_of,
    chosen_items,
    chosen_words,
    editable_fields,
    is_for_job,
    known_action,
    list_query,
    rows_of,
    task_of,
)
from backoffice.admin.pages.confirming import (
    NAMED,
    NotRun,
    confirm,
    keep_shown,
)
from backoffice.admin.pages.drifting import drifted_rows
from backoffice.admin.pages.explain import answer
from backoffice.admin.pages.explain_action import action_question
from backoffice.admin.pages.looking import look_at
from backoffice.admin.pages.preflight import preflight_view
from backoffice.admin.presentation import FieldProblem, Hidden, Link, Message
from backoffice.admin.presentation_bulk import AskView, TickedField
from backoffice.admin.referring import named, take_labels
from backoffice.admin.words import plural, within_sentence
from backoffice.bulk.models import Run, Selection
from backoffice.bulk.run import Drift
from backoffice.bulk.selection import find_selection, keep_selection
from backoffice.bulk.shown import last_shown
from backoffice.database.session import limit_statements
from backoffice.editing.fields import FormField
from backoffice.errors import Refused

TICKED, ALL = "ticked", "all"
# Seconds that a confirmation may take.
CONFIRMING = 150
# So many rows are a matter of seconds.
SOON_DONE = 20_000


def choose(call: Call) -> Reply:
    """Keep what was chosen in the list, and lead to what would happen."""
    view = call.model_view
    query = call.posted("query") or ""
    back = address(call.site.base_url, view.identity, "list")
    back += f"?{query}" if query else ""
    asked = call.posted("action") or dict(call.query_items).get("action", "")
    if not asked:
        return Redirect(back, Message("warn", "Choose an action first."))
    spec = known_action(call, view, asked)
    keys: list[str] | None = None
    items: list[tuple[str, str]] | None = None
    if call.posted("which") == ALL:
        items = chosen_items(query)
        problems = list_query(call, view, items).problems
        if problems:
            return Redirect(back, Message("bad", problems[0].message))
    else:
        sent = call.form.getlist("id") if call.form is not None else []
        keys = [one for one in sent if isinstance(one, str)]
        keys += [v for k, v in call.query_items if k == "id"]
        if not keys:
            name = within_sentence(view.name_plural)
            return Redirect(
                back,
                Message("warn", f"No {name} are ticked: tick some, or choose all."),
            )
    token = keep_selection(
        call.session,
        actor_id=str(call.login.user_id),
        view=view.identity,
        action=spec.name,
        words=chosen_words(call, view, keys, items),
        keys=keys,
        items=items,
    )
    if spec.starts and not spec.is_asking:
        selection = find_selection(
            call.session,
            token,
            actor_id=str(call.login.user_id),
            view=view.identity,
        )
        return answered(call, view, selection, spec)
    return Redirect(action_url(call, view, token))


def action_url(call: Call, view: ModelView, token: str) -> str:
    """The address of a selection's action."""
    return address(call.site.base_url, view.identity, "actions", token)


def run_url(call: Call, run_id: int) -> str:
    """The address of a run."""
    return address(call.site.base_url, "runs", str(run_id))


def moving(url: str, seconds: int) -> str:
    """The address of a page that is asked for again by itself."""
    return f"{url}?refresh={seconds}" if seconds else url


def watched_url(call: Call, run: Run) -> str:
    """The address of a run that has been confirmed: its page moves until it is done."""
    here = run_url(call, run.id)
    if run.finished_at is not None:
        return here
    return moving(here, 1 if run.total <= SOON_DONE else 5)


def show(call: Call) -> Reply:
    """What the action has to be told, or what it would do."""
    view = call.model_view
    selection = selected(call)
    spec = action_of(call, view, selection)
    if selection.run_id is not None:
        return Redirect(run_url(call, selection.run_id))
    is_asked = dict(call.query_items).get("ask") == "yes"
    if (
        spec is not None
        and spec.is_asking
        and (selection.parameters is None or is_asked)
    ):
        return ask(call, view, selection, spec, selection.parameters or {})
    if spec is not None and spec.is_answer:
        if spec.starts:
            # An address begins nothing, whoever follows it.
            return ask(call, view, selection, spec, selection.parameters or {})
        read_only(call)
        return answered(call, view, selection, spec)
    return preflight(call, view, selection, spec)


def read_only(call: Call) -> None:
    """Let the rest of the transaction read alone; only PostgreSQL holds to it."""
    if call.session.get_bind().dialect.name == "postgresql":
        call.session.execute(text("SET TRANSACTION READ ONLY"))


def answered(
    call: Call, view: ModelView, selection: Selection, spec: ActionSpec
) -> Reply:
    """What an action answers with that changes no row."""
    chosen = Selected(
        rows=rows_of(call, view, selection),
        keys=tuple(view.description.mapper.primary_key),
        words=selection.words,
        name_plural=view.name_plural,
    )
    return spec.answer(view, call, chosen, selection.parameters or {})


def submit(call: Call) -> Reply:
    """Keep what was told or taken out, or run exactly what was shown."""
    view = call.model_view
    do = call.posted(DO)
    if do == "run":
        # A second click waits for the first, which writes down what a million rows are.
        limit_statements(call.session, statement=CONFIRMING, lock=CONFIRMING)
    selection = selected(call, lock=True)
    spec = action_of(call, view, selection)
    if selection.run_id is not None:
        return Redirect(
            run_url(call, selection.run_id),
            Message("", "This had been run already; it was not run again."),
        )
    if do == "tell" and spec is not None:
        return tell(call, view, selection, spec)
    if spec is not None and spec.is_answer:
        return Redirect(action_url(call, view, selection.token))
    match do:
        case "exclude" | "choose":
            out = [*selection.excluded, *unticked(call)]
            selection.excluded = list(dict.fromkeys(out))
            lead = rows_url if do == "choose" else action_url
            return Redirect(lead(call, view, selection.token))
        case "include":
            selection.excluded = []
            return Redirect(action_url(call, view, selection.token))
        case "explain":
            return explain_it(call, view, selection, spec)
        case "count":
            return preflight(call, view, selection, spec, is_patient=True)
    return run(call, view, selection, spec)


def show_rows(call: Call) -> Reply:
    """All rows of a selection, page by page, to take some out."""
    view = call.model_view
    selection = selected(call)
    spec = action_of(call, view, selection)
    here = action_url(call, view, selection.token)
    if selection.run_id is not None or (spec is not None and spec.is_answer):
        return Redirect(here)
    if spec is not None and spec.is_asking and selection.parameters is None:
        return Redirect(here)
    back = Link("Before and after", here)
    links = crumbs(call, view, selection)
    return choosing.show_rows(call, view, selection, spec, back=back, crumbs=links)


def keep_rows(call: Call) -> Reply:
    """Keep which rows were taken out."""
    view = call.model_view
    selection = selected(call, lock=True)
    action_of(call, view, selection)
    here = action_url(call, view, selection.token)
    if selection.run_id is not None:
        return Redirect(here)
    return choosing.keep_rows(call, view, selection, back=here)


def selected(call: Call, *, lock: bool = False) -> Selection:
    """The selection that the address names."""
    return find_selection(
        call.session,
        str(call.request.path_params["token"]),
        actor_id=str(call.login.user_id),
        view=call.model_view.identity,
        lock=lock,
    )


# What it is told


def asked_fields(
    call: Call, view: ModelView, spec: ActionSpec
) -> tuple[FormField, ...]:
    """The fields of an action's form."""
    if spec.does is Does.EDIT:
        return editable_fields(call, view)
    return tuple(one.field for one in spec.parameters)


def ask(
    call: Call,
    view: ModelView,
    selection: Selection,
    spec: ActionSpec,
    texts: Mapping[str, str],
    *,
    refused: Refused | None = None,
    labels: Mapping[str, str] | None = None,
) -> Page:
    """The form of an action, with what is wrong in it."""
    fields = asked_fields(call, view, spec)
    errors = dict(refused.fields) if refused is not None else {}
    defaults = {one.name: one.default for one in spec.parameters}
    is_edit = spec.does is Does.EDIT
    meant = {
        one.key: found
        for one in fields
        if one.key not in errors
        and (found := named(call, one, texts.get(one.key, defaults.get(one.key, ""))))
    }
    drawn = [
        field_view(
            call,
            view,
            one,
            texts.get(one.key, defaults.get(one.key, "")),
            label=meant[one.key].label
            if one.key in meant
            else (labels or {}).get(one.key, texts.get(one.key, "")),
            key=meant[one.key].key if one.key in meant else "",
            error=errors.get(one.key, ""),
            width="" if is_edit else None,
        )
        for one in fields
    ]
    known = {one.key for one in fields}
    problems = [
        FieldProblem(one.label, errors[one.key], f"f-{one.key}")
        for one in fields
        if one.key in errors
    ]
    rest = [text for key, text in errors.items() if key not in known]
    if refused is not None and not errors:
        rest = [str(refused)]
    problems = [*(FieldProblem("", text) for text in rest), *problems]
    shown = AskView(
        url=action_url(call, view, selection.token),
        text=spec.description,
        button=spec.verb if spec.is_answer else "Show what would change",
        cancel=back_link(call, view, selection),
        fields=() if is_edit else tuple(drawn),
        ticked=tuple(TickedField(one, one.name in texts) for one in drawn)
        if is_edit
        else (),
        hidden=(Hidden(DO, "tell"),),
        summary="Nothing was tried yet." if problems else "",
        problems=tuple(problems),
    )
    return Page(
        "action",
        shown,
        frame(
            call,
            title=spec.label,
            sub=selection.words,
            crumbs=crumbs(call, view, selection),
            width="narrow",
        ),
        400 if problems else 200,
    )


def tell(call: Call, view: ModelView, selection: Selection, spec: ActionSpec) -> Reply:
    """Keep what was typed, if it can be used."""
    fields = asked_fields(call, view, spec)
    shown = {one.key: "" for one in fields}
    typed = typed_fields(call, fields, shown)
    take_labels(call, fields, typed)
    if spec.does is Does.EDIT:
        sent = call.form.getlist(SET) if call.form is not None else []
        typed = {key: one for key, one in typed.items() if key in sent}
    texts = submitted_texts(typed)
    selection.parameters = texts
    try:
        if spec.is_answer:
            spec.read(texts)
        else:
            task_of(call, view, selection, spec)
    except Refused as refused:
        call.session.rollback()
        labels = {key: one.text for key, one in typed.items()}
        return ask(call, view, selection, spec, texts, refused=refused, labels=labels)
    if spec.starts:
        return answered(call, view, selection, spec)
    return Redirect(action_url(call, view, selection.token))


# What it would do


def preflight(
    call: Call,
    view: ModelView,
    selection: Selection,
    spec: ActionSpec | None,
    *,
    error: str = "",
    status: int = 200,
    is_patient: bool = False,
    drift: Drift | None = None,
) -> Page:
    """The page that shows what would happen; nothing happens."""
    token, words, before = selection.token, selection.words, last_shown(selection)
    crumb_links = crumbs(call, view, selection)
    excluded = len(selection.excluded)
    cancel = back_link(call, view, selection)
    expires, chosen_at = selection.expires_at, selection.created_at
    looked = look_at(call, view, selection, spec, is_patient=is_patient)
    kept_shown = looked.shown
    if drift is not None:
        kept_shown = replace(kept_shown, reason=error, drift=asdict(drift))
    elif not error:
        # Who follows a row that has become another and comes back is told once more.
        kept_shown = kept_shown.still_told(before)
        error = kept_shown.reason
        drift = Drift.of(kept_shown.drift) if kept_shown.drift else None
    keep_shown(call, token, kept_shown)
    shown = preflight_view(
        call,
        view,
        looked.found,
        looked.task,
        is_for_job=is_for_job(view, spec),
        url=action_url(call, view, token),
        cancel=cancel,
        excluded=excluded,
        since=looked.since,
        expires=expires,
        ask_url=action_url(call, view, token) + "?ask=yes"
        if spec is not None and spec.is_asking
        else "",
        error=error,
        mark=kept_shown.mark,
    )
    if spec is not None:
        shown = replace(shown, about=spec.description)
    if drift is not None:
        shown = replace(
            shown,
            drift=drifted_rows(call, view, drift, chosen_at),
            drift_more=f"{NAMED} of each kind are named." if drift.most > NAMED else "",
        )
    return Page(
        "preflight",
        shown,
        frame(call, title=looked.task.title, sub=words, crumbs=crumb_links),
        status,
    )


def explain_it(
    call: Call, view: ModelView, selection: Selection, spec: ActionSpec | None
) -> Reply:
    """A report on the very statements that would run; none of them is."""
    task = task_of(call, view, selection, spec)
    label = spec.label if spec is not None else f"Undo run {selection.undone_run_id}"
    question = action_question(call, view, task, label, left_out=unticked(call))
    return answer(call, question)


def unticked(call: Call) -> list[str]:
    """Rows of the sample that were shown ticked and came back without."""
    if call.form is None:
        return []
    shown = [one for one in call.form.getlist("sample") if isinstance(one, str)]
    kept = {one for one in call.form.getlist("row") if isinstance(one, str)}
    return [key for key in shown if key not in kept]


# Its run


def run(
    call: Call, view: ModelView, selection: Selection, spec: ActionSpec | None
) -> Reply:
    """Run what was shown, if the rows are still the same."""
    expected = call.posted("expected") or ""
    if spec is not None and spec.does is Does.DELETE and call.posted("sure") != "yes":
        return again(call, view, spec, "Say that you are sure. Nothing was run.")
    try:
        made = confirm(
            call, view, selection, spec, expected=expected, taken_out=unticked(call)
        )
    except NotRun as refused:
        text = f"{refused} This is what would happen now."
        return again(call, view, spec, text, refused.drift)
    return Redirect(watched_url(call, made))


def again(
    call: Call,
    view: ModelView,
    spec: ActionSpec | None,
    text: str,
    drift: Drift | None = None,
) -> Reply:
    """The preflight once more, with why nothing was run."""
    call.session.rollback()
    selection = selected(call)
    return preflight(call, view, selection, spec, error=text, status=409, drift=drift)


# Ways back


def back_link(call: Call, view: ModelView, selection: Selection) -> Link:
    """Back to the list as it was, or to the run that was to be taken back."""
    if selection.undone_run_id is not None:
        return Link("Back to the run", run_url(call, selection.undone_run_id))
    url = address(call.site.base_url, view.identity, "list")
    if selection.items:
        url += "?" + urlencode([(i[0], i[1]) for i in selection.items])
    return Link("Back to the list", url)


def crumbs(call: Call, view: ModelView, selection: Selection) -> tuple[Link, ...]:
    """Where the page stands."""
    back = back_link(call, view, selection)
    links = [Link(view.category or "", ""), Link(view.name_plural, back.url)]
    if selection.undone_run_id is not None:
        base = call.site.base_url
        links = [
            Link("Runs", address(base, "runs")),
            Link(f"Run {selection.undone_run_id}", back.url),
        ]
    return tuple(link for link in links if link.label)


def undo_selection(call: Call, view: ModelView, made: Run) -> str:
    """A selection of what a run has changed, to take it back; its address."""
    return action_url(call, view, undo_token(call, view, made))


def undo_token(call: Call, view: ModelView, made: Run) -> str:
    """A selection of what a run has changed, to take it back; its token."""
    return keep_selection(
        call.session,
        actor_id=str(call.login.user_id),
        view=view.identity,
        action=UNDO,
        words=undone_words(made),
        undone_run_id=made.id,
    )


def undone_words(made: Run) -> str:
    """As in: 7 records changed by run 12, all products; of an undo not whose undo."""
    found = f"{plural(made.changed, 'record')} changed by run {made.id}"
    return found if made.undone_run_id is not None else f"{found}, {made.words}"

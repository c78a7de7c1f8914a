"""Which pages are there, with believable content: one sample of each template."""

from dataclasses import replace
from datetime import UTC, datetime

from backoffice.admin import words
from backoffice.admin.presentation import (
    AccountView,
    Action,
    Cell,
    Chip,
    Choice,
    ConfirmView,
    ConflictChoice,
    ConflictView,
    Cost,
    Count,
    DeleteView,
    DependentRow,
    DetailsView,
    Empty,
    ErrorView,
    Fact,
    FactGroup,
    FieldGroup,
    FieldProblem,
    FieldView,
    FilterControl,
    FormView,
    Frame,
    HeadCell,
    Hidden,
    HistoryEntry,
    HistoryView,
    IndexEntry,
    IndexGroup,
    IndexView,
    Link,
    ListView,
    LoginView,
    MenuGroup,
    MenuItem,
    MergedField,
    Message,
    Moment,
    Narrowing,
    Pager,
    Person,
    RelatedList,
    Row,
    SearchBox,
    SessionRow,
    Statement,
    Submit,
    Suggestion,
    stacked,
)
from backoffice.admin.presentation import Change as Was

NOW = datetime(2026, 11, 20, 14, 32, 7, tzinfo=UTC)
NAMES = (
    "Abara, Chidi",
    "Almeida, Beatriz",
    "Andersson, Elin",
    "Chowdhury, Nadia",
    "Fernández, Lucía",
    "García López, Mateo",
    "Kaplan, Deniz",
    "Nguyen, Minh Anh",
    "O'Brien, Cian",
    "Okafor, Amara",
)
SCHOOLS = ("Northfield High", "Harbour Road School", "Westgate Academy")
MENU = {
    "School": ("Students", "Report cards", "Courses", "Enrollments", "Schools"),
    "Shop": ("Products", "Orders", "Customers"),
    "Operations": ("History",),
}


def moment(day: int, hour: int = 9, minute: int = 12) -> Moment:
    """A time in the November of all samples."""
    value = datetime(2026, 11, day, hour, minute, tzinfo=UTC)
    return words.moment(value, NOW, zone=UTC, with_time=True)


def frame(title: str, **parts: object) -> Frame:
    """The frame of a page with the whole menu."""
    menu = tuple(
        MenuGroup(
            group,
            tuple(MenuItem(label, f"/admin/{label}", label == title) for label in each),
        )
        for group, each in MENU.items()
    )
    plain = Frame(
        title=title,
        brand="Northfield",
        menu=menu,
        person=Person("Ruth Adeyemi", "admin", "/admin/account"),
        csrf="token",
        here="/admin/student/list",
        crumbs=(Link("School", ""), Link("Students", "/admin/student/list")),
    )
    return replace(plain, **parts)  # type: ignore[arg-type]


def columns() -> tuple[HeadCell, ...]:
    """Nine columns of students, ordered by class and name."""
    stacks = stacked(
        ("mono", "link", "ref", "text", "date", "text", "bool", "state", "date")
    )
    labels = ("Code", "Name", "School", "Class", "Born", "Average", "Paid", "Status")
    return tuple(
        HeadCell(
            label,
            url=f"?sortBy={label}",
            sort="ascending" if label in {"Name", "Class"} else "",
            rank={"Class": 1, "Name": 2}.get(label, 0),
            is_num=label in {"Born", "Average", "Updated"},
            stack=stack,
        )
        for label, stack in zip((*labels, "Updated"), stacks, strict=True)
    )


def rows(count: int) -> tuple[Row, ...]:
    """As many students."""
    states = (Cell("Active", "state"),) * 4 + (
        Cell("On leave", "state", tone="none"),
        Cell("Suspended", "state", tone="warn"),
    )
    return tuple(
        Row(
            str(index),
            NAMES[index % 10],
            (
                Cell(f"S-{100000 + index * 977}", "mono"),
                Cell(NAMES[index % 10], "link", f"/admin/student/details/{index}"),
                Cell(SCHOOLS[index % 3], "ref", "/admin/school/details/1"),
                Cell(f"9{'ABC'[index % 3]}"),
                Cell("2010-11-02", "date", iso="2010-11-02"),
                Cell("none", "empty") if index == 4 else Cell(f"{50 + index % 50}.5"),
                Cell("yes", "bool"),
                states[index % 6],
                Cell("19 Nov", "date", iso="2026-11-19T09:12:00+00:00"),
            ),
        )
        for index in range(count)
    )


FILTERS = (
    FilterControl(
        "status",
        "Status",
        "choice",
        (
            Choice("active", "Active", is_checked=True, rows="1,201,433"),
            Choice("leave", "On leave", rows="28,910"),
        ),
    ),
    FilterControl(
        "school",
        "School",
        "reference",
        (Choice("1", "Northfield High", is_checked=True),),
        lookup_url="/admin/student/lookup?name=school",
    ),
    FilterControl("class_name", "Class", "text", value="9A"),
    FilterControl("birth_date", "Born", "date", low="2007-01-01", is_nullable=True),
    FilterControl("average", "Average", "number", hint="No index: takes about 2 s"),
    FilterControl(
        "paid",
        "Paid",
        "boolean",
        (Choice("", "any", is_checked=True), Choice("true", "yes"), Choice("f", "no")),
    ),
)
STUDENTS = ListView(
    identity="student",
    name="student",
    name_plural="Students",
    url="/admin/student/list",
    columns=columns(),
    rows=rows(20),
    pager=Pager(
        "1",
        "20",
        words.row_count(1_234_567, is_exact=False, limit=10_000),
        page=1,
        page_size=20,
        page_sizes=(20, 50, 100),
        next_url="/admin/student/list?after=x",
        hidden=(Hidden("class_name", "9A"),),
    ),
    search=SearchBox("", "Name, code or e-mail"),
    filters=FILTERS,
    chips=(
        Chip("Status", "active", "?a"),
        Chip("Class", "9A", "?b"),
        Chip("Order", "class, then name", "?c", "sort"),
    ),
    clear_url="/admin/student/list",
    hidden=(Hidden("pageSize", "20"),),
    caption="Students, rows 1 to 20",
)
EDIT = Action("Edit", "/admin/student/edit/1", is_primary=True, key="e")
NEW = Action("New student", "/admin/student/create", "plus", is_primary=True, key="c")
EXPORT = Action("Export CSV", "/admin/student/export/csv", "down")

HISTORY = (
    HistoryEntry(
        "Grace Mensah",
        moment(18),
        changes=(Was("Science", "79", "84"), Was("Average", "60.0", "61.0")),
    ),
    HistoryEntry("Tom Baker", moment(12), changes=(Was("English", "", "66"),)),
    HistoryEntry("Tom Baker", moment(2), "created"),
)
ASIDE = (
    FactGroup("Belongs to", (Fact("Student", Cell(NAMES[9], "ref", "/admin/s/1")),)),
    FactGroup("Record", (Fact("Created", Cell("2 Nov 2026, 14:05")),)),
)
REFUSED = FormView(
    url="/admin/report-card/edit/1",
    groups=(
        FieldGroup(
            "Student and term",
            (
                FieldView(
                    "student",
                    "Student",
                    "reference",
                    "Okafor, Amara",
                    is_required=True,
                    hint="Type a name or a code.",
                    reference=Link("Open this student", "/admin/student/details/9"),
                    reference_key="9",
                    lookup_url="/admin/report-card/lookup?name=student",
                ),
                FieldView(
                    "semester",
                    "Semester",
                    "select",
                    "1",
                    choices=(Choice("1", "1"), Choice("2", "2")),
                    error="This student already has a card for this semester.",
                    error_link=Link("Open that card.", "/admin/report-card/edit/2"),
                    is_changed=True,
                    width="w3",
                ),
            ),
            is_legend_hidden=True,
        ),
        FieldGroup(
            "Marks",
            (
                FieldView(
                    "science",
                    "Science",
                    "number",
                    "104",
                    is_num=True,
                    inputmode="decimal",
                    error="104 is more than 100, the most this mark can be.",
                    is_changed=True,
                    width="w2",
                ),
                FieldView(
                    "english", "English", "number", "88", was="84", is_changed=True
                ),
                FieldView(
                    "average",
                    "Average",
                    "readonly",
                    "61.0",
                    is_num=True,
                    hint="Computed by the database when you save.",
                ),
            ),
            hint="0 to 100. Leave empty where there is no mark yet.",
            is_marks=True,
        ),
        FieldGroup(
            "More",
            (
                FieldView("note", "Note", "textarea", "Good.", max_length="500"),
                FieldView("printed", "Printed", "checkbox", "true", hint="On paper."),
                FieldView("due", "Due", "date", "2026-12-01"),
                FieldView("wrong", "Wrong day", "date", "2026-13-01"),
                FieldView("scores", "Scores", "json", '{"joy": 0.81}', rows=4),
                FieldView(
                    "teacher",
                    "Teacher",
                    "reference",
                    "Amara",
                    error="Several fit. Choose one, or type more.",
                    candidates=(
                        Choice("1", "Okafor, Amara (S-099002)"),
                        Choice("2", "Okafor, Amara (S-104411)"),
                    ),
                ),
            ),
        ),
    ),
    submits=(Submit("Save and add another", "another"), Submit("Save", "", True)),  # noqa: FBT003
    cancel_url="/admin/report-card/list",
    state="signed",
    summary="Not saved. Two fields need you; what you typed is still here.",
    problems=(
        FieldProblem("Semester", "there is a card already", "f-semester"),
        FieldProblem("Science", "104 is more than 100", "f-science"),
    ),
    history=HISTORY,
    history_url="/admin/report-card/history/1",
    history_count="7",
    has_history=True,
    aside=ASIDE,
    changed=3,
)
BEFORE = "Good progress since the autumn."
THEIRS = "Good progress since the autumn, above all in physics."
MINE = "Good progress since the autumn. The essay is still to come."
DEPENDENTS = (
    DependentRow("The student", "1", "deleted", "Deleted"),
    DependentRow(
        "Report cards",
        "6",
        "deleted",
        "Deleted",
        "/admin/report-card/list",
        (Link("2025/26, semester 1", "/admin/report-card/details/1"),),
        "and 5 more",
    ),
    DependentRow("Customers", "1", "kept", "Kept, its student is emptied"),
)
CARDS = RelatedList(
    "Report cards",
    (HeadCell("Term", stack="first"), HeadCell("Average", is_num=True)),
    (Row("1", "x", (Cell("2025/26, 1", "link", "/admin/x"), Cell("61.0"))),),
    Count("6"),
    "/admin/report-card/list",
    Link("New report card", "/admin/report-card/create"),
)

PAGES: dict[str, tuple[str, object, Frame]] = {
    "list": (
        "list",
        STUDENTS,
        frame("Students", actions=(EXPORT, NEW), sub="about 1,200,000 in all"),
    ),
    "list with a mistake": (
        "list",
        replace(
            STUDENTS,
            rows=(),
            pager=None,
            chips=(Chip("", "“2007-13-01” is not a date.", "?a", "error"),),
            filters=(
                FilterControl(
                    "born", "Born", "date", low="2007-13-01", error="Not a date."
                ),
            ),
            empty=Empty("No rows are shown until the filter is right"),
        ),
        frame("Students"),
    ),
    "nothing matches": (
        "list",
        replace(
            STUDENTS,
            rows=(),
            pager=None,
            empty=Empty(
                "No student matches all of this",
                suggestions=(
                    Suggestion("class 13A", "1,021", "?a"),
                    Suggestion("status active", "0"),
                ),
                actions=(Action("Clear all", "/admin/student/list"),),
            ),
        ),
        frame("Students"),
    ),
    "empty": (
        "list",
        replace(
            STUDENTS,
            rows=(),
            pager=None,
            search=None,
            filters=(),
            chips=(),
            empty=Empty("No courses yet", "A course has a code.", actions=(NEW,)),
        ),
        frame("Courses"),
    ),
    "form": ("form", REFUSED, frame("Edit report card", width="mid")),
    "create": (
        "form",
        FormView(
            "/admin/student/create",
            (FieldGroup("Student", (FieldView("code", "Code", has_focus=True),)),),
            (Submit("Save", "", True),),  # noqa: FBT003
            "/admin/student/list",
        ),
        frame("New student", width="mid"),
    ),
    "conflict": (
        "conflict",
        ConflictView(
            "/admin/report-card/edit/1",
            "Grace Mensah",
            moment(20, 14, 29),
            "Two fields were changed by both of you. Choose which values to keep.",
            "You opened this card at 14:26. Nothing is saved yet.",
            (
                ConflictChoice(
                    "note",
                    "Note",
                    BEFORE,
                    words.difference(BEFORE, THEIRS),
                    words.difference(BEFORE, MINE),
                    MINE,
                    is_long=True,
                ),
                ConflictChoice("english", "English", "", (), (), "72", error="Choose."),
            ),
            (
                MergedField("Science", "68", "74", "68", "74", "theirs"),
                MergedField("Average", "61.0", "62.2", "61.8", "63.0", "computed"),
            ),
            "5 other fields are the same in both versions",
            discard=Link("Discard mine", "/admin/report-card/edit/1"),
        ),
        frame("Someone else saved first", width="mid"),
    ),
    "delete": (
        "delete",
        DeleteView(
            "/admin/student/delete/9",
            "7 records would be deleted, 1 would be kept without its student.",
            "This cannot be undone.",
            DEPENDENTS,
            is_forbidden=False,
            cancel=Link("Keep everything", "/admin/student/details/9"),
            button="Delete 7 records",
            confirm="Yes, delete these 7 records",
            footnote="Counts stop at 1,000.",
        ),
        frame("Delete Okafor, Amara?", width="narrow"),
    ),
    "delete forbidden": (
        "delete",
        DeleteView(
            "/admin/school/delete/1",
            "Northfield High cannot be deleted: 412 students still belong to it.",
            "Give them another school first.",
            (DependentRow("Students", "412", "forbids", "Forbid it"),),
            is_forbidden=True,
            cancel=Link("Back to the school", "/admin/school/details/1"),
        ),
        frame("Delete Northfield High?", width="narrow"),
    ),
    "details": (
        "details",
        DetailsView(
            (
                FactGroup(
                    "Student",
                    (
                        Fact("Code", Cell("S-099002", "mono")),
                        Fact("Status", Cell("Active", "state")),
                        Fact("Notes", Cell("Plays the violin.\nBus 12.", "long")),
                        Fact("Scores", Cell('{"joy": 0.81}', "code")),
                        Fact("Guardian", Cell("none", "empty")),
                    ),
                ),
            ),
            (CARDS, replace(CARDS, label="Enrollments", rows=())),
            ASIDE,
            HISTORY,
            "/admin/student/history/9",
            "7",
        ),
        frame("Okafor, Amara", actions=(EDIT,), width="mid"),
    ),
    "history": (
        "history",
        HistoryView(
            tuple(
                replace(each, record=Link(NAMES[9], "/admin/x"), run=Link("run 7", "/"))
                for each in HISTORY
            ),
            url="/admin/history",
            narrowings=(
                Narrowing("by", "Person", known=("Ada Admin",), hint="part of a name"),
                Narrowing("view", "List", "x", (Choice("", "any"),), is_wrong=True),
                Narrowing("at__from", "From", is_day=True),
            ),
            clear_url="/admin/history",
            notes=(Message("bad", "“x” is no list with a history here."),),
            older_url="?before=1",
            newest_url="?",
        ),
        frame("History", width="narrow"),
    ),
    "login": (
        "login",
        LoginView(
            "/admin/login",
            "ruth@example.org",
            "E-mail and password do not match.",
            next_words="Students",
        ),
        frame("Log in", person=None),
    ),
    "error": (
        "error",
        ErrorView(
            "Saving stopped half way.",
            "Nothing was changed.",
            (Action("Back to the form", "/admin/x", "undo", is_primary=True),),
            (Fact("Kind", Cell("500, connection to the database lost")),),
            "8f2c-41d7-a09e",
        ),
        frame("This did not work", width="narrow"),
    ),
    "error without a person": (
        "error",
        ErrorView("The database has not answered since 14:31:40."),
        frame("The database does not answer", person=None, width="narrow"),
    ),
    "index": (
        "index",
        IndexView(
            tuple(
                IndexGroup(
                    group,
                    tuple(
                        IndexEntry(
                            label,
                            f"/admin/{label}",
                            words.row_count(1_234_567, is_exact=False),
                            Link(f"New {label}", "/admin/create"),
                        )
                        for label in labels
                    ),
                )
                for group, labels in MENU.items()
            ),
            HISTORY,
            "/admin/history",
        ),
        frame(
            "Start",
            heading="Northfield",
            crumbs=(),
            messages=(Message("ok", "Saved: Okafor, Amara.", Link("Open", "/x")),),
            cost=Cost(
                "4 statements, 21 ms in the database",
                (Statement("SELECT …", "8.9 ms", "21"),),
            ),
        ),
    ),
    "confirm": (
        "confirm",
        ConfirmView("/admin/logout", "You are Ruth.", "Log out", Link("Stay", "/a")),
        frame("Log out?", width="narrow"),
    ),
    "account": (
        "account",
        AccountView(
            (Fact("Role", Cell("admin")),),
            "/admin/account",
            (
                FieldView("current", "Current password", "password", is_required=True),
                FieldView("new", "New password", "password", hint="At least 10."),
            ),
            sessions=(
                SessionRow("1", "Firefox", moment(20), moment(20), is_current=True),
                SessionRow("2", "Safari", moment(18), moment(19)),
            ),
            close_url="/admin/account/close",
            close_others_url="/admin/account/close-others",
        ),
        frame("My account", width="narrow"),
    ),
}

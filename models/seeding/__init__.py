"""The demo's rows, as `manage.py seed` finds them: sizes, plan, files, first steps.

Sizes and files are options of the command, so its --help comes here: tables are not
imported before rows of them are to be made.
"""

from collections.abc import Mapping
from pathlib import Path

from backoffice.seeding.plan import Import, Plan, Size

SIZES = (
    Size(
        "students",
        2_000,
        "Students, with five report cards each; schools, courses and enrollments "
        "in proportion.",
    ),
    Size(
        "products",
        400,
        "Products; five orders for each, and customers in proportion.",
    ),
    Size("authors", 120, "Authors, with eight posts each and three comments a post."),
    Size("texts", 1_500, "Texts that were analysed, most of them in batches of 50."),
)

# What `make run` says is worth trying.
FIRST_STEPS = (
    "Students: search for two words at once, such as `wahyu sukma`, and open one.",
    "Report cards: sort by semester, filter one year, and correct a mark.",
    "Enrollments: put a student into a course that is full.",
    "Orders: place one of more pieces than there are in stock.",
    "Open one record in two tabs, save both, and see who was first.",
)


def plan(sizes: Mapping[str, int], seed: int) -> Plan:
    """All rows of the demo; each subject has a size of its own."""
    from models.seeding import demo

    return demo.plan(sizes, seed)


def plan_of_files(directory: Path) -> Plan:
    """The rows of the UCI files in this directory."""
    from models.seeding import uci

    return uci.plan(directory)


UCI = Import(
    name="uci",
    help="Load the pupils of student-mat.csv and student-por.csv in this directory "
    "into the school's tables, in place of made rows.",
    plan=plan_of_files,
    notes="""\
--uci: each line of the two UCI files is a pupil of their own (1,044 in 2 schools, 2 \
courses), and the three grades G1, G2 and G3 are the report cards of semesters 1, 2 \
and 3 (the final): 3,132 in all. Grades of 0 to 20 become marks of 0 to 100. \
Portuguese stands in the column indonesian, mathematics in mathematics. A report card \
has one subject of five and a missing mark counts 0, so that nobody passes. The files \
name nobody: names, codes, classes and days of birth are made up, the same each time. \
Lines that cannot be read are left out and listed with their reason.""",
)

IMPORTS = (UCI,)

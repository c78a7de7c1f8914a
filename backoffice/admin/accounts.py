"""How administrators see accounts: the one list whose writes go through `auth`."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from backoffice.admin.call import Call
from backoffice.admin.model_view import ModelView
from backoffice.auth.models import User
from backoffice.auth.permissions import Role
from backoffice.auth.users import (
    create_user,
    delete_user,
    set_password,
    update_user,
    why_kept,
)
from backoffice.editing.fields import FieldKind, FormField

PASSWORD = "password"  # noqa: S105 - the name of a field
TRUE = "true"


class AccountAdmin(ModelView, model=User):
    """People with an account; deleted ones are left out."""

    identity = "account"
    name = "User"
    name_plural = "Users"
    category = "Accounts"
    column_list = [
        User.name,
        User.email,
        User.role,
        User.is_active,
        User.last_login_at,
        User.created_at,
    ]
    column_searchable_list = [User.name, User.email]
    column_filters = [User.is_active]
    column_sortable_list = [User.name, User.email, User.last_login_at]
    column_default_sort = [(User.name, False)]
    column_details_list = [
        User.name,
        User.email,
        User.role,
        User.is_active,
        User.last_login_at,
        User.created_at,
        User.updated_at,
    ]
    label_columns = [User.name, User.email]
    details_related = ()
    form_columns = [User.name, User.email, User.role, User.is_active]

    def scope(self, select: Select[Any], call: Call) -> Select[Any]:
        """Accounts that are not deleted."""
        del call
        return select.where(User.deleted_at.is_(None))

    def form_fields(
        self, call: Call, *, is_created: bool
    ) -> tuple[FormField, ...] | None:
        """The columns, and a password: of a new account, or to give a new one."""
        kept = "" if is_created else self.why_kept(call)
        roles = tuple((str(role), str(role)) for role in Role)
        hint = (
            "At least 10 characters. Tell it the person; they can change it."
            if is_created
            else "Leave empty to keep the present one. "
            "A new one logs the person out everywhere."
        )
        return (
            FormField("name", "Name", FieldKind.TEXT, required=True, max_length=200),
            FormField("email", "E-mail", FieldKind.TEXT, required=True, max_length=254),
            FormField(
                "role",
                "Role",
                FieldKind.CHOICE,
                required=True,
                choices=roles,
                hint="viewer reads, editor also writes, ops reads and sees the "
                "metrics, admin does all." + (f" {kept}" if kept else ""),
            ),
            FormField("is_active", "Active", FieldKind.BOOLEAN, hint=kept),
            FormField(
                PASSWORD,
                "Password" if is_created else "New password",
                FieldKind.TEXT,
                required=is_created,
                hint=hint,
                secret=True,
            ),
        )

    def why_kept(self, call: Call) -> str:
        """Why the account of this page keeps its role and its use."""
        key = str(call.request.path_params.get("pk", ""))
        try:
            user_id = uuid.UUID(key)
        except ValueError:
            return ""
        return why_kept(call.session, call.login.user_id, user_id)

    def why_not_deleted(self, record: Any, call: Call) -> str:
        """Neither the last administrator nor oneself."""
        return why_kept(call.session, call.login.user_id, record.id)

    def create_record(
        self, session: Session, values: Mapping[str, str], call: Call
    ) -> Any | None:
        """A new account, by the rules of `auth`."""
        return create_user(
            session,
            call.login.user_id,
            email=values.get("email", ""),
            name=values.get("name", ""),
            role=values.get("role", ""),
            password=values.get(PASSWORD, ""),
            is_active=values.get("is_active", TRUE) == TRUE,
        )

    def update_record(
        self, session: Session, record: Any, changed: Mapping[str, str], call: Call
    ) -> bool:
        """Changes of an account, by the rules of `auth`."""
        values: dict[str, Any] = {k: v for k, v in changed.items() if k != PASSWORD}
        if "is_active" in values:
            values["is_active"] = values["is_active"] == TRUE
        user_id: uuid.UUID = record.id
        if values:
            update_user(session, call.login.user_id, user_id, values)
        if changed.get(PASSWORD):
            set_password(session, call.login.user_id, user_id, changed[PASSWORD])
        return True

    def delete_record(self, session: Session, record: Any, call: Call) -> bool:
        """Deleted softly: the row stays for the history."""
        delete_user(session, call.login.user_id, record.id)
        return True

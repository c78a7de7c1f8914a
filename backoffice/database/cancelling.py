"""How is a statement stopped by another thread than the one that waits for it?"""

import sqlite3
from contextlib import suppress

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

# Seconds that the request to stop may take to reach the server.
PATIENCE = 5.0


def cancel_statement(connection: Connection) -> None:
    """Stop what the connection runs now; whoever waits for it gets the error.

    Where nothing runs, or the server cannot be reached, nothing happens.
    """
    with suppress(SQLAlchemyError, psycopg.Error):
        driver = connection.connection.driver_connection
        if isinstance(driver, psycopg.Connection):
            driver.cancel_safe(timeout=PATIENCE)
        elif isinstance(driver, sqlite3.Connection):
            driver.interrupt()

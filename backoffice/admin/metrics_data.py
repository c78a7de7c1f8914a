"""The metrics page for machines: which numbers are behind its words?"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from backoffice.admin.house import growth
from backoffice.observability.brief import brief

if TYPE_CHECKING:
    from backoffice.admin.readings import Readings
    from backoffice.admin.site import Site


def metrics_data(site: "Site", found: "Readings") -> dict[str, Any]:
    """The page for machines: the numbers behind the words."""
    picture, live = found.picture, found.live
    states = {name: getattr(live, name) for name in live.__slots__}
    whole = picture.total_ns()
    before = site.backoffice.keeper.sizes_before
    return {
        "status": found.judgement.health.word,
        "time": datetime.now().astimezone().isoformat(),
        "coverage": picture.coverage(site.backoffice.settings.web.processes),
        "counted_since": picture.counted_since,
        "counted": {
            "statements": picture.counted.calls,
            "requests": sum(one.requests for one in picture.views.values()),
            "pool_timeouts": picture.pool_timeouts(),
        },
        "verdicts": [
            {
                "rule": one.rule,
                "health": one.health.word,
                "text": one.text,
                "value": one.value,
                "since": one.since,
            }
            for one in found.judgement.verdicts
        ],
        "pools": [
            {
                "name": one.name,
                "kind": one.kind,
                "process": one.process,
                "pool_size": one.size,
                "max": one.max,
                "checked_in": one.checked_in,
                "checked_out": one.checked_out,
                "overflow": one.overflow,
                "waiters": one.waiters,
                "wait_p95_ms": one.wait_p95_ms,
                "timeouts": one.timeouts,
                "connect_errors": one.connect_errors,
                "invalidated": one.invalidated,
                "utilization_percent": None
                if one.utilization is None
                else round(one.utilization * 100, 1),
                "healthy": None if one.max is None else one.is_healthy,
                "cannot": one.cannot,
            }
            for one in picture.pools
        ],
        "findings": [
            {
                "kind": one.kind,
                "view": one.view,
                "action": one.action,
                "text": one.text,
                "fix": one.fix,
                "line": one.line,
                "count": one.count,
                "saved_ms": one.saved_ms,
            }
            for one in picture.attention(50)
        ],
        "statements": [
            {
                "fingerprint": one.fingerprint,
                "text": one.text,
                "brief": brief(one.text, one.operation, one.table),
                "view": one.view,
                "action": one.action,
                "calls": one.calls,
                "share": one.histogram.total / whole if whole else 0,
                "mean_ms": one.mean_ms,
                "p95_ms": one.quantile_ms(0.95),
                "max_ms": one.max_ms,
                "rows": one.rows,
                "errors": one.errors,
            }
            for one in picture.top_statements(limit=50)
        ],
        "views": [
            {
                "view": one.view,
                "action": one.action,
                "requests": one.requests,
                "statements": one.statements,
                "duplicates": one.duplicates,
                "over_budget": one.over_budget,
                "sampled": one.sampled,
                "rows_read": one.rows_read,
                "rows_given": one.rows_given,
                "rows_read_each": one.rows_each,
            }
            for one in picture.top_views(50)
        ],
        "tables": [
            {
                "name": one.path,
                "rows": one.rows,
                "dead": one.dead,
                "data_size": one.data_size,
                "index_size": one.index_size,
                "growth": growth(one, before),
                "vacuumed": one.vacuumed and one.vacuumed.isoformat(),
                "analyzed": one.analyzed and one.analyzed.isoformat(),
                "key": one.key,
                "key_type": one.key_type,
                "key_used": one.key_used,
                "needs": one.needs,
            }
            for one in live.tables.value or ()
        ],
        "growth_since": before and before.at.isoformat(),
        "settings": [
            {"text": one.text, "fix": one.fix} for one in found.contradictions
        ],
        "slow": [one.to_json() for one in live.slow.value or ()],
        "panels": {
            name: {"state": str(one.state), "at": one.at, "text": one.text}
            for name, one in states.items()
        },
    }

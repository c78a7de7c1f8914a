"""How staff see the analyses of texts."""

from sqlalchemy import case

from backoffice.admin.actions import Values, action
from backoffice.admin.model_view import ModelView
from models.analyses import AnalysisStatus, BatchAnalysis, TextAnalysis

CATEGORY = "Analyses"
TONES = {"failed": "bad", "pending": "none", "running": "none"}


class TextAnalysisAdmin(ModelView, model=TextAnalysis):
    """Texts and what was found in them."""

    category = CATEGORY
    name = "Text"
    column_list = [
        TextAnalysis.id,
        TextAnalysis.text,
        TextAnalysis.type,
        TextAnalysis.status,
        TextAnalysis.sentiment,
        TextAnalysis.quality,
        TextAnalysis.milliseconds,
        TextAnalysis.created_at,
    ]
    column_searchable_list = [TextAnalysis.text, TextAnalysis.hash]
    column_search_modes = {TextAnalysis.hash: "exact"}
    column_filters = [
        TextAnalysis.status,
        TextAnalysis.type,
        TextAnalysis.tier,
        TextAnalysis.sentiment,
        TextAnalysis.batch,
        TextAnalysis.created_at,
    ]
    column_sortable_list = [TextAnalysis.id, TextAnalysis.sentiment]
    column_tones = {TextAnalysis.status: TONES}

    @action("Retry the failed", description="The others stay as they are.")
    def retry(self) -> Values:
        """Failed ones wait once more."""
        status = TextAnalysis.status
        again = (status == AnalysisStatus.FAILED, AnalysisStatus.PENDING)
        return {status: case(again, else_=status)}


class BatchAnalysisAdmin(ModelView, model=BatchAnalysis):
    """Batches and how far they are."""

    category = CATEGORY
    name = "Batch"
    name_plural = "Batches"
    column_list = [
        BatchAnalysis.name,
        BatchAnalysis.status,
        BatchAnalysis.size,
        BatchAnalysis.processed,
        BatchAnalysis.failed,
        BatchAnalysis.created_at,
    ]
    column_searchable_list = [BatchAnalysis.name]
    column_filters = [BatchAnalysis.status, BatchAnalysis.created_at]
    column_tones = {BatchAnalysis.status: TONES}

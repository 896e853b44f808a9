"""Contacts of a CRM kept in step with KlickTipp: a plan to look at, and a report on what became of it."""

from klickdoxie_core.entry import State
from klicktipp_async.crm.difference import Change
from klicktipp_async.crm.mapping import Collision, Mapping, MappingError, Segments, Target
from klicktipp_async.crm.reasons import Reason
from klicktipp_async.crm.report import SyncPlan, SyncReport
from klicktipp_async.crm.rows import Action, RowPlan, RowReport, SourceRow
from klicktipp_async.crm.sync import ContactSync

__all__ = [
    "Action",
    "Change",
    "Collision",
    "ContactSync",
    "Mapping",
    "MappingError",
    "Reason",
    "RowPlan",
    "RowReport",
    "Segments",
    "SourceRow",
    "State",
    "SyncPlan",
    "SyncReport",
    "Target",
]

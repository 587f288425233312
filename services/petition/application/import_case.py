"""A case of a register comes in as it stands: registered, accepted, answered, with the clocks that its days give it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from services.chassis.identity import Identity
from services.petition.application.ports import Directory, Work
from services.petition.application.use_cases import check_registration, external_taken, registered
from services.petition.domain import old_case, refusals, registration
from services.petition.domain.limits import ACCEPT, CONCLUDE
from services.petition.domain.old_case import REASON_UNKNOWN, Standing
from services.petition.domain.petition import Petition
from services.petition.domain.registration import Registration
from services.petition.domain.terms import CHANNEL_ZH, STATE_ZH, State


def check_case(
    directory: Directory, caller: Identity, today: date, draft: Registration, standing: Standing
) -> None:
    """Refuses a row that breaks a rule of registration, or whose state and days do not fit together."""
    check_registration(directory, caller, draft)
    registration.check(draft, today)
    old_case.check(standing, draft.received_on, today)
    if draft.accused_unit and standing.responsible_unit == draft.accused_unit:
        raise refusals.accused()


def import_case(
    work: Work, petition_id: str, draft: Registration, standing: Standing, case_number: str, public_code: str,
    *, job_id: str, resembles: str = "",
) -> Petition:  # fmt: skip
    """Keeps a checked row. Its clocks run from the days of the register, so that what is late is late at once."""
    if draft.external_no and work.petitions.has_external(draft.source_system, draft.external_no):
        raise external_taken()
    petition = _standing(registered(work, petition_id, draft, case_number), standing, work.identity.unit)
    petition = replace(petition, import_job_id=job_id, suspected_duplicate_of=resembles)
    work.petitions.add(petition, public_code)
    _clocks(work, petition, draft.received_on, standing)
    zh = f"由登记表导入({CHANNEL_ZH[draft.channel]}),状态:{STATE_ZH[standing.state]}"
    if draft.external_no:
        zh += ",来自原系统"
    work.tell(petition.id, "petition.imported", zh, f"Imported from a register ({draft.channel}): {standing.state}")
    return petition


def _standing(petition: Petition, standing: Standing, own_unit: str) -> Petition:
    refused = standing.state in (State.DECLINED, State.VOIDED)
    taken_on = standing.is_closed or standing.state is State.ACCEPTED
    return replace(
        petition,
        state=standing.state,
        responsible_unit=standing.responsible_unit or (own_unit if taken_on else ""),
        outcome=standing.outcome,
        opinion=standing.opinion,
        legal_basis=standing.legal_basis,
        reason=standing.reason or (REASON_UNKNOWN if refused else ""),
        route=standing.route,
        satisfaction=standing.satisfaction,
        evaluation_comment=standing.evaluation_comment,
    )


def _clocks(work: Work, petition: Petition, received_on: date, standing: Standing) -> None:
    # Answered without a day of acceptance: the office then had 60 days from the day of receipt.
    accepted_on = standing.accepted_on or (received_on if standing.is_closed else None)
    void = standing.state is State.VOIDED
    work.clocks.enter(ACCEPT, petition.id, received_on, met_on=accepted_on, cancelled=void)
    if accepted_on is not None and standing.state is not State.DECLINED:
        work.clocks.enter(CONCLUDE, petition.id, accepted_on, met_on=standing.concluded_on, cancelled=void)

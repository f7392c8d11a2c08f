"""What every request passes before it is answered: the log, faults, limits, sign-in, rights."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ccexport.sandbox.account.people import PEOPLE
from ccexport.sandbox.account.state import LoggedRequest, SandboxState
from ccexport.sandbox.account.tokens import Grant
from ccexport.sandbox.api import answers
from ccexport.sandbox.api.answers import Refused
from ccexport.sandbox.api.operations import TOKEN, Operation
from ccexport.sandbox.faults import Fault


@dataclass
class Call:
    """One request on its way: what is asked, and what is known about it so far."""

    state: SandboxState
    request: Request
    operation: Operation
    entry: LoggedRequest
    grant: Grant | None = None
    form: dict[str, str] = field(default_factory=dict)

    def take(self, group: str, content: bytes = b"") -> Fault | None:
        """The fault of this group that the request, with this upload, meets now, if any."""
        fault = self.state.faults.take(
            group,
            self.operation.name,
            self.request.method,
            self.request.url.path,
            self.form.get("grant_type", ""),
            content,
        )
        if fault is not None:
            self.entry.fault = fault.do
        return fault


Handler = Callable[[Call], Awaitable[Response]]


async def pass_through(
    state: SandboxState, operation: Operation, handler: Handler, request: Request
) -> Response:
    """Answer a request, or refuse it, and note both."""
    entry = LoggedRequest(
        at=state.clock(),
        method=request.method,
        path=request.url.path,
        operation=operation.name,
        query=tuple(sorted(request.query_params)),
    )
    state.log.append(entry)
    call = Call(state, request, operation, entry)
    try:
        answer = await _answer(call, handler)
    except Refused as refused:
        answer = refused.answer
    finally:  # the caller may be gone by now
        entry.seconds = round(state.clock() - entry.at, 6)
    if not isinstance(answer, answers.DroppedConnection):
        entry.status = answer.status_code
        answer.headers["x-amzn-requestid"] = str(uuid.uuid4())
    return answer


async def _answer(call: Call, handler: Handler) -> Response:
    refusal = _limits(call)
    if call.operation is TOKEN:
        call.form = dict(parse_qsl((await call.request.body()).decode("utf-8", "replace")))
        call.form = {**call.request.query_params, **call.form}
        call.entry.grant_type = call.form.get("grant_type")
    delay, instead = call.take("delay"), call.take("instead")
    await _pause(delay, instead)
    if instead is not None:
        return answers.answer_of(instead)
    if refusal is not None:
        return refusal
    _check_rights(call)
    answer = await handler(call)
    return await _lose(call, answer) if answer.status_code < 300 else answer


def _limits(call: Call) -> Response | None:
    """Count the request; the answer if it is one too many."""
    state, behaviour = call.state, call.state.behaviour
    if call.operation is TOKEN:
        return None if state.limits.admits_token() else answers.throttled()
    if not call.request.url.path.startswith("/v3/"):
        return None
    in_time = state.limits.admits_second(behaviour.requests_per_second)
    if not state.limits.admits_day(behaviour.requests_per_day):
        return answers.quota_exceeded()
    return None if in_time else answers.throttled()


def _check_rights(call: Call) -> None:
    """Token, then scope, then privilege; operations of the authorization server need none."""
    operation = call.operation
    if not operation.path.startswith("/v3/"):
        return
    kind, _, token = call.request.headers.get("authorization", "").partition(" ")
    call.grant = call.state.tokens.grant_of_access(token) if kind.lower() == "bearer" else None
    if call.grant is None:
        raise Refused(answers.unauthorized())
    if operation.scope and operation.scope not in call.grant.scopes:
        raise Refused(answers.access_denied())
    if operation.privilege and operation.privilege not in PEOPLE[call.grant.person].privileges:
        raise Refused(answers.access_denied())


async def _lose(call: Call, answer: Response) -> Response:
    """Let the answer to a request that was processed go astray, where a fault says so."""
    fault = call.take("lost")
    await _pause(fault)
    if fault is None:
        return answer
    if fault.do == "cut_after":
        body = await _whole_body(answer)
        headers = {**answer.headers, "content-length": str(len(body))}
        return answers.CutAnswer(body, answer.status_code, headers)
    if fault.do in answers.DISTORTED:
        return answers.distorted(await _whole_body(answer), answer.status_code, fault.do)
    return answers.answer_of(fault)


async def _whole_body(answer: Response) -> bytes:
    if not isinstance(answer, StreamingResponse):
        return bytes(answer.body)
    pieces = [piece async for piece in answer.body_iterator]
    return b"".join(piece.encode() if isinstance(piece, str) else bytes(piece) for piece in pieces)


async def _pause(*faults: Fault | None) -> None:
    seconds = sum(fault.delay_seconds for fault in faults if fault is not None)
    if seconds:
        await asyncio.sleep(seconds)

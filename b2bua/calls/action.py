"""The parameters sent to the ``action`` URL of a Dial.

Source: TwiML ``<Dial>``, "request parameters"; the last three are our own.
"""

from b2bua.core.dial_report import DialResult

__all__ = ["action_parameters"]


def action_parameters(result: DialResult) -> tuple[tuple[str, str], ...]:
    """Return the parameters sent in addition to the standard ones, in the order they are sent."""
    outcome = result.outcome
    params: list[tuple[str, str]] = [("DialCallStatus", outcome.status)]
    if result.child is not None:
        params.append(("DialCallSid", result.child))
        if not result.released:
            params.append(("DialCallDuration", str(round(result.duration_s))))
    params.append(("DialBridged", "true" if result.bridged else "false"))
    if result.kind == "sip":
        if result.sip_call_id is not None:
            params.append(("DialSipCallId", result.sip_call_id))
        params.append(("DialSipResponseCode", str(outcome.sip_code)))
        # If two headers have the same name, the later one counts: the BYE's over the 200's.
        extra = {name: value for name, value in result.headers if name.lower().startswith("x-")}
        params += [(f"DialSipHeader_{name}", value) for name, value in extra.items()]
    elif result.kind == "client" and result.sip_call_id is None:
        params.append(("DialSipResponseCode", str(outcome.sip_code)))  # the client had no phone to call
    params += [
        ("DialRingDuration", str(result.ring_duration_ms)),
        ("DialHangupBy", outcome.hangup_by),
        ("DialHangupCause", str(outcome.q850_cause)),
    ]
    return tuple(params)

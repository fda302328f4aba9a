import pytest

from b2bua.calls.parameters import CallFacts, SipFacts, party, standard_parameters
from b2bua.core.ids import CallSid

pytestmark = pytest.mark.unit

PARENT = CallSid("CA" + "1" * 32)
CHILD = CallSid("CA" + "2" * 32)


PLACES = [
    f"{party}{part}"
    for party in ("From", "To", "Caller", "Called")
    for part in ("City", "State", "Zip", "Country")
]


def without_places(call: CallFacts) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in standard_parameters(call) if pair[0] not in PLACES)


def test_an_inbound_call_names_everything_in_a_fixed_order() -> None:
    call = CallFacts(
        call_sid=PARENT,
        account_sid="AC1",
        from_="+14155550100",
        to="sip:desk@example.com",
        direction="inbound",
        status="ringing",
        forwarded_from="+14155550111",
        caller_name="Ann",
        sip=SipFacts(
            domain="example.com",
            username="desk",
            call_id="abc@192.0.2.1",
            source_ip="192.0.2.1",
            headers=(
                ("Via", "SIP/2.0/UDP 192.0.2.1"),
                ("X-Tenant", "7"),
                ("x-tag", "b"),
                ("x-tag", "a"),
                ("User-to-User", "00ff;encoding=hex"),
                ("Xylophone", "no"),
            ),
        ),
    )
    assert without_places(call) == (
        ("CallSid", PARENT),
        ("AccountSid", "AC1"),
        ("From", "+14155550100"),
        ("To", "sip:desk@example.com"),
        ("Caller", "+14155550100"),
        ("Called", "sip:desk@example.com"),
        ("CallStatus", "ringing"),
        ("ApiVersion", "2010-04-01"),
        ("Direction", "inbound"),
        ("ForwardedFrom", "+14155550111"),
        ("CallerName", "Ann"),
        ("SipDomain", "example.com"),
        ("SipUsername", "desk"),
        ("SipCallId", "abc@192.0.2.1"),
        ("SipSourceIp", "192.0.2.1"),
        ("SipHeader_X-Tenant", "7"),
        ("SipHeader_x-tag", "b"),
        ("SipHeader_x-tag", "a"),
        ("SipHeader_User-to-User", "00ff;encoding=hex"),
    )


def test_a_child_names_its_parent_and_nothing_that_does_not_exist() -> None:
    call = CallFacts(
        call_sid=CHILD,
        account_sid="AC1",
        from_="+1",
        to="+2",
        direction="outbound-dial",
        status="in-progress",
        parent_call_sid=PARENT,
        caller_name="",
    )
    names = [name for name, _ in without_places(call)]
    assert names[-2:] == ["Direction", "ParentCallSid"]
    assert len(names) == 10


def test_the_places_of_both_parties_are_always_there() -> None:
    call = CallFacts(
        call_sid=PARENT,
        account_sid="AC1",
        from_="+442079460000",
        to="sip:desk@example.com",
        direction="inbound",
        status="ringing",
    )
    told = dict(standard_parameters(call))
    assert [name for name, _ in standard_parameters(call) if name in PLACES] == PLACES
    assert (told["FromCountry"], told["CallerCountry"]) == ("GB", "GB")
    assert {told[name] for name in PLACES if name.endswith("Zip") or name.startswith(("To", "Called"))} == {
        ""
    }


def test_a_phone_call_names_no_sip_domain() -> None:
    call = CallFacts(
        call_sid=PARENT,
        account_sid="AC1",
        from_="+1",
        to="+2",
        direction="inbound",
        status="ringing",
        sip=SipFacts(call_id="abc", headers=(("X-Tenant", "7"),)),
    )
    assert without_places(call)[-2:] == (("SipCallId", "abc"), ("SipHeader_X-Tenant", "7"))
    assert "SipDomain" not in dict(standard_parameters(call))


@pytest.mark.parametrize(
    ("user", "region", "name"),
    [
        # international, whatever the region
        ("+14155550100", None, "+14155550100"),
        ("+1-415-555-0100", None, "+14155550100"),
        ("+1.415.555.0100;phone-context=x", "DE", "+14155550100"),
        ("+1%20(415)%20555-0100", None, "+14155550100"),
        ("+49301234", None, "+49301234"),
        # national, of the region
        ("4155550100", "US", "+14155550100"),
        ("(415)%20123-4567", "US", "+14151234567"),
        ("14155550100", "US", "+14155550100"),
        ("011441632960001", "US", "+441632960001"),
        ("00441632960001", "DE", "+441632960001"),
        ("030123456", "DE", "+4930123456"),
        # numbers of one place only
        ("4155550100", None, "sip:4155550100@pbx.example"),
        ("5550100", "US", "sip:5550100@pbx.example"),
        ("911", "US", "sip:911@pbx.example"),
        ("112", "DE", "sip:112@pbx.example"),
        ("1001", "DE", "sip:1001@pbx.example"),
        ("*97", "US", "sip:*97@pbx.example"),
        # no numbers
        ("alice", "US", "sip:alice@pbx.example"),
        ("1800FLOWERS", "US", "sip:1800FLOWERS@pbx.example"),
        ("al%20ice", "US", "sip:al%20ice@pbx.example"),
        ("+", "US", "sip:+@pbx.example"),
        ("+0123456789", "US", "sip:+0123456789@pbx.example"),
        ("+1234567890123456", "US", "sip:+1234567890123456@pbx.example"),
        ("٤١٥٥٥٥٠١٠٠", "US", "sip:٤١٥٥٥٥٠١٠٠@pbx.example"),
        ("", "US", "sip:pbx.example"),
        ("4155550100", "no such region", "sip:4155550100@pbx.example"),
    ],
)
def test_a_party_is_a_number_where_it_has_one(user: str, region: str | None, name: str) -> None:
    assert party(user, "pbx.example", region) == name


def test_a_tel_uri_without_a_number_is_its_user() -> None:
    assert party("911", "", "US") == "911"
    assert party("+14155550100", "", None) == "+14155550100"

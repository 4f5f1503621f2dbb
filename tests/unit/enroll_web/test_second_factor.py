"""The authenticator in the browser: set-up, wrong codes and wrong clocks, replacing it, losing it."""

from __future__ import annotations

import re

import pytest
import qrcode

from enroll_web import qr
from tests.factories import make_code
from tests.unit.enroll_web.conftest import PASSWORD, Browser, Site


@pytest.fixture
def newcomer(site: Site) -> Browser:
    """The first administrator with a password, in front of the picture."""
    browser = site.browser()
    token = site.services.invitations.first()
    assert token is not None
    browser.accept(token, "alice")
    return browser


def begun(site: Site) -> list[bytes]:
    """Devices of alice that wait or are in use; beginning puts another in the place of one that waits."""
    account = site.services.accounts.find("alice")
    with site.services.database.read() as tx:
        return [device.device_id for device in tx.credentials.devices(account.id)]


def test_the_picture_is_the_secret_below_it(newcomer: Browser) -> None:
    """The black modules are those of the `otpauth:` address with the secret that is written out."""
    page = newcomer.get("/second-factor/set-up").text
    uri = f"otpauth://totp/Sealdav:alice?secret={newcomer.secret}&issuer=Sealdav"
    assert qr.draw(uri).path in page
    code = qrcode.QRCode(border=qr.BORDER)
    code.add_data(uri)
    black = {(x, y) for y, row in enumerate(code.get_matrix()) for x, is_black in enumerate(row) if is_black}
    drawn = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", page)}
    assert drawn == black


def test_the_secret_stays_while_the_page_is_loaded_again(site: Site, newcomer: Browser) -> None:
    """For ten minutes; then there is another one, and a code of the old one is told so."""
    newcomer.get("/second-factor/set-up")
    first = newcomer.secret
    site.clock.advance(minutes=9)
    newcomer.get("/second-factor/set-up")
    assert newcomer.secret == first
    site.clock.advance(minutes=2)
    late = newcomer.post("/second-factor/set-up", {"code": newcomer.code()}, page="/sign-out")
    assert late.request.path == "/sign-in"
    newcomer.sign_in()
    assert newcomer.secret != first


def test_one_right_code_activates_and_everything_is_shown_once(site: Site, newcomer: Browser) -> None:
    """The third page holds a working app password and ten recovery codes; loaded again it holds neither."""
    page = newcomer.set_up()
    assert page.request.path == "/welcome"
    assert len(newcomer.codes) == 10
    principal = site.services.authenticator.authenticate("alice", newcomer.app_password, "192.0.2.1")
    assert principal.account.username == "alice"
    assert f"pass={newcomer.app_password}" in page.text
    again = newcomer.get("/welcome")
    assert again.request.path == "/start"
    assert newcomer.app_password not in again.text


def test_a_wrong_clock_is_told_apart_from_a_wrong_code(newcomer: Browser) -> None:
    """Whoever types a code of another time is told to set the clock; a wrong one is just wrong."""
    newcomer.get("/second-factor/set-up")
    skewed = newcomer.post("/second-factor/set-up", {"code": newcomer.code(steps=-10)})
    assert "the clock of your phone is wrong" in skewed.text
    wrong = newcomer.post("/second-factor/set-up", {"code": "000000"})
    assert "Wrong one-time code" in wrong.text
    assert {skewed.status_code, wrong.status_code} == {403}
    assert newcomer.post("/second-factor/set-up", {"code": "x"}).status_code == 403
    assert newcomer.post("/second-factor/set-up", {"code": newcomer.code()}).request.path == "/welcome"


def test_a_code_may_hold_spaces(newcomer: Browser) -> None:
    """As apps show it."""
    newcomer.get("/second-factor/set-up")
    code = newcomer.code()
    assert (
        newcomer.post("/second-factor/set-up", {"code": f"{code[:3]} {code[3:]}"}).request.path == "/welcome"
    )


def test_a_code_is_good_once(site: Site, alice: Browser) -> None:
    """The second time it is refused, in another browser too."""
    code = alice.code()
    assert alice.post("/confirm", {"code": code}).status_code == 200
    thief = site.browser()
    thief.sign_in()
    refused = thief.post("/second-factor", {"code": code})
    assert refused.status_code == 403
    assert "used already" in refused.text


def test_setting_up_needs_a_fresh_sign_in(site: Site, newcomer: Browser) -> None:
    """Half an hour after the password a new secret is not shown: it has to be typed again."""
    stale = site.browser()
    site.services.totp.reset(site.services.accounts.find("alice"))
    stale.sign_in()
    site.services.totp.reset(site.services.accounts.find("alice"))
    site.clock.advance(minutes=11)
    page = stale.get("/second-factor/set-up")
    assert page.request.path == "/sign-in"
    assert "sign in once more" in page.text
    assert newcomer.secret not in page.text


@pytest.mark.parametrize("code", ["x", "", "000000"])
def test_a_code_does_not_stand_for_a_fresh_sign_in(site: Site, newcomer: Browser, code: str) -> None:
    """Sent straight to the form, eleven minutes after the password, it makes no secret and shows none."""
    site.clock.advance(minutes=11)
    before = begun(site)
    page = newcomer.post("/second-factor/set-up", {"code": code}, page="/sign-out")
    assert page.request.path == "/sign-in"
    assert "sign in once more" in page.text
    assert 'id="secret"' not in page.text
    assert begun(site) == before


def test_a_code_does_not_stand_for_a_fresh_code(site: Site, alice: Browser) -> None:
    """The form for a new device asks for the one in use as its page does, before it looks at the code."""
    alice.get("/second-factor/set-up")
    site.clock.advance(minutes=6)
    page = alice.post("/second-factor/set-up", {"code": alice.code()}, page="/sign-out")
    assert page.request.path == "/confirm"


def test_no_code_makes_a_secret(site: Site, newcomer: Browser) -> None:
    """With nothing begun in this session, whatever is sent leads to the page and begins nothing."""
    site.services.totp.reset(site.services.accounts.find("alice"))
    before = begun(site)
    for code in ("x", "", "000000"):
        answer = newcomer.post("/second-factor/set-up", {"code": code}, page="/sign-out", follow=False)
        assert (answer.status_code, answer.location) == (302, "/second-factor/set-up")
    assert begun(site) == before


# ── two people with one password
@pytest.fixture
def thief(site: Site, newcomer: Browser) -> Browser:
    """Somebody else with the password of `newcomer`, who has a picture on the screen."""
    assert newcomer.get("/second-factor/set-up").status_code == 200
    browser = site.browser()
    browser.sign_in()
    return browser


def test_two_sessions_never_see_the_same_secret(newcomer: Browser, thief: Browser) -> None:
    """However often each of them loads the page or types nonsense."""
    seen: dict[str, set[str]] = {"newcomer": {newcomer.secret}, "thief": {thief.secret}}
    for _ in range(3):
        for name, browser in (("newcomer", newcomer), ("thief", thief)):
            browser.get("/second-factor/set-up")
            seen[name].add(browser.secret)
            browser.post("/second-factor/set-up", {"code": "x"})
            seen[name].add(browser.secret)
    assert "" not in seen["newcomer"] | seen["thief"]
    assert not seen["newcomer"] & seen["thief"]


def test_a_code_of_another_sessions_secret_is_refused(site: Site, newcomer: Browser, thief: Browser) -> None:
    """Whether it is sent by whoever began before, or by whoever begins after: no device gets in use."""
    thief.get("/second-factor/set-up")
    before = newcomer.post("/second-factor/set-up", {"code": thief.code()}, page="/sign-out", follow=False)
    assert (before.status_code, before.location) == (302, "/second-factor/set-up")
    newcomer.get("/second-factor/set-up")
    after = thief.post("/second-factor/set-up", {"code": newcomer.code()}, page="/sign-out", follow=False)
    assert (after.status_code, after.location) == (302, "/second-factor/set-up")
    assert not site.services.totp.is_enrolled(site.services.accounts.find("alice"))
    assert "begun anew in another browser" in thief.get("/second-factor/set-up").text


def test_what_another_session_has_begun_stands_for_no_sign_in(
    site: Site, newcomer: Browser, thief: Browser
) -> None:
    """A password of eleven minutes ago shows nothing while somebody else's secret waits."""
    site.clock.advance(minutes=11)
    newcomer.sign_in()
    page = thief.get("/second-factor/set-up")
    assert page.request.path == "/sign-in"
    newcomer.get("/second-factor/set-up")
    assert newcomer.post("/second-factor/set-up", {"code": newcomer.code()}).request.path == "/welcome"


def test_activation_ends_every_other_session(newcomer: Browser, thief: Browser) -> None:
    """Whoever signed in with the password alone is out, and does not get past the code any more."""
    newcomer.get("/second-factor/set-up")
    assert newcomer.post("/second-factor/set-up", {"code": newcomer.code()}).request.path == "/welcome"
    for path in ("/second-factor", "/second-factor/set-up", "/second-factor/lost"):
        assert thief.get(path).request.path == "/sign-in"
    assert newcomer.get("/start").request.path == "/start"
    thief.sign_in()
    assert thief.get("/second-factor/set-up").request.path == "/second-factor"


def test_replacing_keeps_the_old_device_until_the_new_one_is_proven(site: Site, alice: Browser) -> None:
    """The picture alone changes nothing; the first right code of the new one ends the old one.

    Every other session ends with it, and comes back with the new one only.
    """
    old = alice.secret
    page = alice.get("/second-factor/set-up")
    assert "stays in use" in page.text
    new, alice.secret = alice.secret, old
    assert new != old
    other = site.browser()
    other.secret = old
    other.sign_in()
    assert other.prove().request.path == "/start"
    alice.secret = new
    assert alice.post("/second-factor/set-up", {"code": alice.code()}).request.path == "/start"
    assert other.get("/start").request.path == "/sign-in"
    other.sign_in()
    other.secret = old
    assert other.prove().status_code == 403
    other.secret = new
    assert other.prove().request.path == "/start"


def test_replacing_needs_a_fresh_code(site: Site, alice: Browser) -> None:
    """A browser that was left alone does not show a new secret."""
    site.clock.advance(minutes=6)
    assert alice.get("/second-factor/set-up").request.path == "/confirm"
    half = site.browser()
    half.sign_in()
    assert half.get("/second-factor/set-up").request.path == "/second-factor"


def test_a_recovery_code_lets_a_new_device_in_once(site: Site, alice: Browser) -> None:
    """Password and code; the lost device and every other browser are out, the code is used up."""
    code = alice.codes[0]
    browser = site.browser()
    browser.sign_in()
    assert "I lost my device" in browser.get("/second-factor").text
    page = browser.post("/second-factor/lost", {"recovery_code": code.upper()})
    assert page.request.path == "/second-factor/set-up"
    assert alice.get("/start").request.path == "/sign-in"
    assert browser.post("/second-factor/set-up", {"code": browser.code()}).request.path == "/start"
    again = site.browser()
    again.sign_in()
    refused = again.post("/second-factor/lost", {"recovery_code": code})
    assert refused.status_code == 403
    assert "wrong recovery code" in refused.text.lower()
    assert code not in refused.text


def test_a_recovery_code_needs_a_fresh_password(site: Site, alice: Browser) -> None:
    """Ten minutes after the password it is asked for again, and the code stays good."""
    browser = site.browser()
    browser.sign_in()
    site.clock.advance(minutes=10)
    page = browser.post("/second-factor/lost", {"recovery_code": alice.codes[0]})
    assert page.request.path == "/sign-in"
    assert "type your password again" in page.text
    browser.sign_in()
    assert browser.post("/second-factor/lost", {"recovery_code": alice.codes[0]}).status_code == 200


def test_new_recovery_codes_end_the_old_ones(site: Site, alice: Browser) -> None:
    """Shown once; loaded again the page asks whether to make new ones."""
    old = alice.codes[0]
    page = alice.post("/second-factor/new-recovery-codes")
    assert page.request.path == "/second-factor/recovery-codes"
    assert old not in alice.codes
    assert alice.codes[0] not in alice.get("/second-factor/recovery-codes").text
    browser = site.browser()
    browser.sign_in(password=PASSWORD)
    assert browser.post("/second-factor/lost", {"recovery_code": old}).status_code == 403
    assert browser.post("/second-factor/lost", {"recovery_code": alice.codes[0]}).status_code == 200


def test_a_pending_secret_is_for_its_owner(site: Site, alice: Browser) -> None:
    """The code of the device in use does not confirm a new one that nobody has scanned."""
    old = alice.secret
    alice.get("/second-factor/set-up")
    site.clock.advance(seconds=30)
    refused = alice.post("/second-factor/set-up", {"code": make_code(old, site.clock)})
    assert refused.status_code == 403

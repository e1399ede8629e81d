"""The reply to a Kerberos token behind other proxies, which pass to the client what they know of an answer that says yes."""

from harness.upstream import values

REPLY = "Negotiate oYGlMIGioAMKAQ=="


def test_a_reply_goes_out_with_the_upstreams_response(front):
    """Traefik can't be configured for this."""
    for path in ("/scripted", "/scripted/status/404"):
        answer = front.send(path, {"Authorization": f"Script grant,www-authenticate={REPLY}"})
        assert answer.all("www-authenticate") == ([] if front.name == "traefik" else [REPLY]), (path, answer.status)


def test_a_client_makes_up_no_reply(front, upstream):
    answer = front.send(
        "/scripted", {"Authorization": "Script grant", "X-Portcullis-Reply": REPLY, "WWW-Authenticate": REPLY}
    )
    assert answer.status == 200
    assert answer.all("www-authenticate") == []
    if front.name == "caddy":
        [seen] = upstream.seen
        assert values(seen, "x-portcullis-reply") == []

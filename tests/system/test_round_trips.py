"""Round trips from connect to the final reply, counted over a path of 200 ms to a real Postfix."""

import pytest

from client import SENDER, envoi, message, to_port
from delayproxy import DelayProxy

RTT = 0.2


@pytest.mark.parametrize("way,most", [("starttls", 8), ("implicit", 6), ("plain", 4)])
def test_round_trips(postfix, way, most):
    token, text = message()
    login = {} if way == "plain" else dict(ca=postfix.ca, tls=way, auth="plain", user=postfix.user, password=postfix.password)
    with DelayProxy(postfix.host, getattr(postfix, way), RTT) as proxy:
        done = envoi(*to_port(proxy.port, **login), "-f", SENDER, "b@example.org", message=text)
        assert done.status == 0, done
        (connection,) = proxy.connections
    postfix.wait_for(token)
    print(f"{way}: {connection.flights} flights, {connection.round_trips:.2f} round trips of time")
    assert connection.flights <= most, connection  # the time goes up with the load of the machine, the flights do not

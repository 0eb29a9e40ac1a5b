"""aiosmtpd on three ports (plain, STARTTLS with login, implicit TLS with login), storing into a Maildir.

usage: aiosmtpd_server.py MAILDIR CERT KEY USER PASSWORD PLAIN STARTTLS IMPLICIT"""

import asyncio
import itertools
import os
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Store:
    def __init__(self, maildir):
        self.maildir, self.count = pathlib.Path(maildir), itertools.count()

    async def handle_DATA(self, server, session, envelope):
        head = f"X-Envelope-From: <{envelope.mail_from}>\n"
        head += f"X-Envelope-Mail-Options: {' '.join(envelope.mail_options)}\n"
        if session.auth_data:
            head += f"X-Login: {session.auth_data.login.decode()}\n"
        for to in envelope.rcpt_tos:
            name = f"{next(self.count)}.{os.getpid()}"
            head_to = f"X-Envelope-To: <{to}>\n{head}"
            (self.maildir / "tmp" / name).write_bytes(head_to.encode("utf-8", "surrogateescape") + envelope.content)
            os.rename(self.maildir / "tmp" / name, self.maildir / "new" / name)
        return "250 2.0.0 kept"


def authenticator(user, password):
    def check(server, session, envelope, mechanism, data):
        good = data.login == user.encode() and data.password == password.encode()
        return AuthResult(success=good, handled=False, auth_data=data)
    return check


async def main(maildir, cert, key, user, password, plain, starttls, implicit):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    store = Store(maildir)
    common = dict(data_size_limit=0, enable_SMTPUTF8=True, hostname="aiosmtpd.example")
    login = dict(authenticator=authenticator(user, password), auth_required=True)

    def serve(port, tls_now=None, **options):
        return asyncio.get_running_loop().create_server(lambda: SMTP(store, **common, **options), "127.0.0.1",
                                                        int(port), ssl=tls_now)

    await serve(plain)
    await serve(starttls, tls_context=tls, require_starttls=True, **login)
    await serve(implicit, tls, auth_require_tls=False, **login)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))

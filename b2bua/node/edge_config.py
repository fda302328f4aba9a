"""Derives the configuration of the edge from the settings."""

from pydantic import SecretStr

from b2bua.node.media_net import MediaNet
from b2bua.settings import Settings, TrunkSettings, UserSettings
from b2bua.sip.digest import hash_a1
from b2bua.sip.edge_control import EdgeConfig, ListenSpec, TlsSpec, TrunkSpec, UserSpec

__all__ = ["edge_config"]


def edge_config(settings: Settings, net: MediaNet, secret: str) -> EdgeConfig:
    """Return the part of the configuration that the edge needs; it shares ``secret`` with the workers."""
    return EdgeConfig(
        secret=secret,
        listen=tuple(ListenSpec(e.transport, e.host, e.port) for e in settings.sip.listen),
        advertise=settings.sip.advertise,
        domain=settings.sip.domain,
        allow=tuple(str(network) for network in settings.security.allow),
        trunks=tuple(
            TrunkSpec(
                name=trunk.name,
                match=tuple(str(network) for network in trunk.match),
                uri=trunk.uri,
                username=trunk.username,
                password=trunk.password.get_secret_value(),
                registers=trunk.registers,
                expires_s=trunk.register_expires_s,
                keepalive_s=trunk.keepalive_s,
                srtp=trunk.srtp,
                max_calls=trunk.max_calls,
            )
            for trunk in settings.trunks
        ),
        invite_rate_per_s=settings.security.invite_rate_per_s,
        nameservers=tuple(str(address) for address in settings.sip.nameservers),
        max_calls=settings.security.max_calls,
        codecs=settings.rtp.codecs,
        max_calls_per_source=settings.security.max_calls_per_source,
        users=(
            *(_trunk_user(trunk, settings.sip.domain) for trunk in settings.trunks if trunk.username),
            *(_user_spec(user, settings.sip.domain) for user in settings.users),  # override trunk users
        ),
        tls=_tls_spec(settings),
        srtp=settings.rtp.srtp,
        relay=str(net.relay),
        media_host=net.host,
        media_bind=settings.rtp.bind,
        inner_host=net.inner_host,
    )


def _user_spec(user: UserSettings, realm: str) -> UserSpec:
    """Return a user as the registrar sees it."""
    md5, sha256 = _digests(user.name, realm, user.password)
    return UserSpec(name=user.name, md5=md5, sha256=sha256, srtp=user.srtp, max_calls=user.max_calls)


def _trunk_user(trunk: TrunkSettings, realm: str) -> UserSpec:
    """Return the user that a trunk authenticates as when it calls from an unknown address."""
    md5, sha256 = _digests(trunk.username, realm, trunk.password)
    return UserSpec(name=trunk.username, md5=md5, sha256=sha256, trunk=trunk.name)


def _digests(name: str, realm: str, password: SecretStr) -> tuple[str, str]:
    text = password.get_secret_value()
    return hash_a1("MD5", name, realm, text), hash_a1("SHA-256", name, realm, text)


def _tls_spec(settings: Settings) -> TlsSpec | None:
    """Return the TLS files, or None if no listening point uses TLS."""
    sip = settings.sip
    if not any(listen.transport == "tls" for listen in sip.listen):
        return None
    return TlsSpec(
        certificate=str(sip.tls_certificate),
        key=str(sip.tls_key),
        ca=str(sip.tls_ca or ""),
        clients=sip.tls_clients,
    )

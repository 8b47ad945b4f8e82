"""The TLS context: the server is always verified."""

import asyncio
import ssl

from sidecar.errors import ConfigError
from sidecar.publish.settings import TlsSettings


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself when its handshake fails; paho 2.2 leaves it to the collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class Trust:
    """Whom to trust, read from its files once, off the event loop."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self.context: ssl.SSLContext | None = None

    async def load(self) -> None:
        """Sets `context`. Raises ConfigError."""
        if self.context is None:
            loop = asyncio.get_running_loop()
            self.context = await loop.run_in_executor(None, tls_context, self._settings)


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """Verifies the server's certificate and host name. Raises ConfigError."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"mqtt: CA file {settings.ca_file}: {exc}; name a PEM file"
        ) from exc
    context.sslsocket_class = _ClosingSocket
    if settings.cert_file is not None:
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        except (OSError, ssl.SSLError) as exc:
            raise ConfigError(
                f"mqtt: client certificate {settings.cert_file}: {exc};"
                " name a PEM chain and its unencrypted key"
            ) from exc
    return context

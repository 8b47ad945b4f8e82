"""Real brokers for tests: Mosquitto as a process, amqtt in the test's own loop."""

import asyncio
import datetime as dt
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sidecar.demo.broker import embedded_broker
from tests.e2e.processes import free_port


def require_tool(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails if it must run.

    `SIDECAR_TEST_REQUIRE=1` says that every tool must be there.
    """
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # noqa: TID251
    found = shutil.which(name, path=search)
    if found is not None:
        return found
    if os.environ.get("SIDECAR_TEST_REQUIRE") == "1":  # noqa: TID251
        pytest.fail(f"{name} is not installed, and SIDECAR_TEST_REQUIRE=1")
    pytest.skip(f"{name} is not installed")


@dataclass
class Mosquitto:
    """A Mosquitto that can be killed and started again on the same port.

    Args:
        folder: Of the test, for its configuration.
        lines: Of configuration, beside the listener's.
        anonymous: Whether anybody may connect.
    """

    folder: Path
    lines: Sequence[str] = ()
    anonymous: bool = True
    port: int = field(default_factory=free_port)
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it and waits until it takes connections."""
        program = require_tool("mosquitto")
        conf = self.folder / "mosquitto.conf"
        conf.write_text(
            "\n".join(
                (
                    f"listener {self.port} 127.0.0.1",
                    f"allow_anonymous {str(self.anonymous).lower()}",
                    "user root",
                    "persistence false",
                    *self.lines,
                    "",
                )
            )
        )
        self._process = await asyncio.create_subprocess_exec(
            program,
            "-c",
            str(conf),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await _reachable(self.port)

    async def kill(self) -> None:
        """SIGKILL: no goodbye, no file written."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None


@asynccontextmanager
async def mosquitto(
    folder: Path, lines: Sequence[str] = (), *, anonymous: bool = True
) -> AsyncIterator[Mosquitto]:
    """A running Mosquitto, killed on leaving."""
    broker = Mosquitto(folder, lines, anonymous=anonymous)
    try:
        await broker.start()
        yield broker
    finally:
        await broker.kill()


@asynccontextmanager
async def amqtt_broker() -> AsyncIterator[int]:
    """The demo's embedded broker; yields its port."""
    async with embedded_broker() as (_, port):
        yield port


async def _reachable(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)  # nobody tells when a port opens
                continue
            writer.close()
            await writer.wait_closed()
            return


@dataclass(frozen=True)
class Certificates:
    """A CA, a server certificate for 127.0.0.1 and localhost, a client certificate."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def certificates(folder: Path) -> Certificates:
    """Fresh ones, valid for an hour."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("test authority")
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()),
            critical=False,
        )
        .add_extension(_usage(ca=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    paths = Certificates(*(folder / f"{n}.pem" for n in ("ca", "s", "sk", "c", "ck")))
    _write(paths.ca, ca)
    for cert, key, who in (
        (paths.server, paths.server_key, "localhost"),
        (paths.client, paths.client_key, "sidecar"),
    ):
        _issue(cert, key, who, (ca, ca_key))
    return paths


def _issue(
    cert: Path,
    key_file: Path,
    who: str,
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
) -> None:
    ca, ca_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    signed = (
        _builder(_name(who), ca.subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
        .add_extension(_usage(ca=False), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    _write(cert, signed)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
    )


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

"""The configuration's sections, turned into the plain values each stage takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from sidecar.app.intake import FileInput, Intake
from sidecar.app.spec import Origin, StreamSpec
from sidecar.arena import PictureArena, PictureSlots
from sidecar.classify.catalogue import bundled_models, find
from sidecar.classify.manifest import Manifest
from sidecar.classify.manifest import load as load_manifest
from sidecar.classify.planner import PlannerSettings
from sidecar.clock import Clock
from sidecar.config import Config
from sidecar.config.listeners import ControlConfig, WebrtcConfig, WhipConfig
from sidecar.config.places import user_models
from sidecar.config.schema import (
    BatchConfig,
    FileConfig,
    RecordConfig,
    SamplingConfig,
    SamplingOverride,
    StreamConfig,
    WhepConfig,
)
from sidecar.decide.policyset import PolicySet
from sidecar.domain import PictureFormat, SourceKind, Stream
from sidecar.ingest.receiver import IceServer, IceSettings
from sidecar.ingest.source import Connector
from sidecar.ingest.whep import WhepConnector, WhepSettings
from sidecar.ingest.whip import WhipSession, WhipSettings
from sidecar.publish.settings import (
    InboundSettings,
    MqttProtocol,
    MqttSettings,
    TlsSettings,
)
from sidecar.publish.signing import Ed25519Signer
from sidecar.recording.folder import FolderSettings
from sidecar.sample.audit import AuditSettings
from sidecar.sample.budget import Budget, BudgetSettings
from sidecar.sample.cadence import CadenceSettings
from sidecar.sample.keyframes import DecodeMode
from sidecar.sample.sampler import SamplerSettings
from sidecar.sample.stream_sampler import StreamSampler
from sidecar.stats import Stats
from sidecar.web.server import ServerSettings


def model_search(models_dir: Path | None) -> Sequence[Path]:
    """Where models are looked for: the operator's folder, the user's, the bundled."""
    known = (user_models(), bundled_models())
    return known if models_dir is None else (models_dir, *known)


def find_manifest(name: str, models_dir: Path | None) -> Manifest:
    """The manifest of a model by name or path. Raises ManifestError."""
    return load_manifest(find(name, model_search(models_dir)))


def policy_set(config: Config) -> PolicySet:
    """The policies, in the order they stand in the file."""
    return PolicySet(tuple(policy.to_policy() for policy in config.policies))


def ice_settings(webrtc: WebrtcConfig) -> IceSettings:
    """How candidates are gathered."""
    servers = tuple(
        IceServer(
            (server.urls,),
            server.username,
            server.credential.get_secret_value() if server.credential else None,
        )
        for server in webrtc.ice_servers
    )
    return IceSettings(servers=servers, port_range=webrtc.port_range)


def planner_settings(batch: BatchConfig, most: int | None = None) -> PlannerSettings:
    """Who goes together into a batch: `most` pictures, or as many as there is room."""
    return PlannerSettings(
        **{**batch.model_dump(), "max_batch_size": most or batch.most}
    )


def picture_arena(batch: BatchConfig, fmt: PictureFormat) -> PictureArena:
    """Room for what waits, for two batches on their way and for what is decoded."""
    near = 4 * batch.most
    return PictureArena(PictureSlots(fmt, batch.capacity + near), near)


def mqtt_settings(config: Config) -> MqttSettings:
    """The broker. Raises ConfigError where a key file is of no use."""
    mqtt = config.mqtt
    signer = None
    if mqtt.signing is not None:
        signer = Ed25519Signer.load(mqtt.signing.key_file, mqtt.signing.key_id)
    return MqttSettings(
        host=mqtt.host,
        port=mqtt.port,
        protocol=MqttProtocol(mqtt.version),
        tls=TlsSettings(mqtt.tls, mqtt.ca_file, mqtt.cert_file, mqtt.key_file),
        username=mqtt.username,
        password=mqtt.password.get_secret_value() if mqtt.password else None,
        client_id=mqtt.client_id,
        prefix=mqtt.prefix,
        site=config.site,
        keepalive_s=mqtt.keepalive_s,
        connect_timeout_s=mqtt.timeout_s,
        publish_timeout_s=mqtt.timeout_s,
        action_qos=mqtt.action_qos,
        scores=mqtt.scores,
        inbound=InboundSettings(
            acks=mqtt.inbound.acks,
            set=mqtt.inbound.set,
            report=mqtt.inbound.report,
            outcomes=mqtt.inbound.outcomes,
            whep_hosts=mqtt.inbound.set_hosts,
        ),
        signer=signer,
    )


def server_settings(key: str, listener: ControlConfig | WhipConfig) -> ServerSettings:
    """Where a listener of the section `key` is bound."""
    tls = listener.tls
    return ServerSettings(
        key=key,
        host=listener.host,
        port=listener.port,
        cert_file=tls.cert_file if tls else None,
        key_file=tls.key_file if tls else None,
    )


def whip_settings(whip: WhipConfig, webrtc: WebrtcConfig) -> WhipSettings:
    """Who may publish."""
    return WhipSettings(
        path_prefix=whip.path,
        shared_token=whip.token.get_secret_value() if whip.token else None,
        stream_tokens={
            name: token.get_secret_value() for name, token in whip.stream_tokens.items()
        },
        max_sessions=whip.max_sessions,
        connect_timeout_s=webrtc.connect_timeout_s,
        packet_timeout_s=webrtc.packet_timeout_s,
        allow_origins=whip.allow_origins,
    )


def sampler_settings(sampling: SamplingConfig) -> SamplerSettings:
    """When to look, and how much to decode."""
    cadence = CadenceSettings(
        interval_s=sampling.interval_s,
        jitter=sampling.jitter,
        burst_interval_s=sampling.burst_interval_s,
        burst_trigger=sampling.burst_trigger,
        burst_s=sampling.burst_s,
    )
    return SamplerSettings(
        cadence=cadence,
        decode=DecodeMode(sampling.decode),
        pli_interval_s=sampling.pli_interval_s,
        audit=AuditSettings(sampling.audit_every_s or None, sampling.audit_stretch_s),
    )


def budget_of(config: Config) -> Budget | None:
    """What all streams share; None: each samples as it likes."""
    budget = config.budget
    if budget.samples_per_s is None:
        return None
    return Budget(BudgetSettings(budget.samples_per_s, budget.floor_s))


def folder_settings(record: RecordConfig) -> FolderSettings:
    """Where recordings are kept, and how many."""
    return FolderSettings(
        path=record.folder,
        max_file_bytes=round(record.max_file_mib * 2**20),
        max_file_s=record.max_file_s,
        max_bytes=round(record.max_total_mib * 2**20),
        max_age_s=record.max_age_s,
        packed=record.gzip,
    )


@dataclass(frozen=True, slots=True)
class StreamFactory:
    """Builds what it takes to watch a stream, from wherever it was asked for."""

    config: Config
    intake: Intake
    http: httpx.AsyncClient
    clock: Clock
    stats: Stats

    def from_config(
        self, stream: StreamConfig, origin: Origin = Origin.CONFIG
    ) -> StreamSpec:
        """A stream of the configuration, the control API or the `set` topic."""
        kind = SourceKind.WHEP if stream.whep else SourceKind.FILE
        labels = MappingProxyType(dict(stream.labels))
        subject = Stream(stream.id, kind, stream.publisher, labels=labels)
        return StreamSpec(
            stream=subject,
            connector=self._connector(stream),
            sampler=self.sampler(subject, stream.sampling),
            origin=origin,
            reconnect=stream.whep is not None,
            location=stream.whep.url if stream.whep else _path_of(stream),
            settings=stream,
        )

    def from_session(self, session: WhipSession) -> StreamSpec:
        """A publisher that pushes to us; it comes back by itself, or not."""
        stream = self.pushed(session.stream_id)
        return StreamSpec(
            stream, session, self.sampler(stream), Origin.WHIP, reconnect=False
        )

    def pushed(self, stream_id: str) -> Stream:
        """The stream of a WHIP publisher."""
        labels = self.config.whip.labels if self.config.whip else {}
        return Stream(stream_id, SourceKind.WHIP, labels=MappingProxyType(dict(labels)))

    def sampler(
        self, stream: Stream, own: SamplingOverride | None = None
    ) -> StreamSampler:
        """A sampler by the stream's group, then by its own keys."""
        sampling = self.config.sampling_of(stream)
        if own is not None:
            sampling = own.over(sampling)
        return self.intake.sampler(stream.id, sampler_settings(sampling))

    def _connector(self, stream: StreamConfig) -> Connector:
        if stream.whep is not None:
            return self._whep(stream.id, stream.whep)
        assert stream.file is not None
        return self._file(stream.id, stream.file)

    def _whep(self, stream_id: str, whep: WhepConfig) -> Connector:
        webrtc = self.config.webrtc
        settings = WhepSettings(
            url=whep.url,
            token=whep.token.get_secret_value() if whep.token else None,
            trickle=whep.trickle,
            connect_timeout_s=webrtc.connect_timeout_s,
            packet_timeout_s=webrtc.packet_timeout_s,
        )
        ice = ice_settings(webrtc)
        return WhepConnector(
            stream_id,
            settings,
            ice,
            self.http,
            self.clock,
            self.stats,
            self.intake.peers,
        )

    def _file(self, stream_id: str, file: FileConfig) -> Connector:
        return self.intake.file(
            stream_id, FileInput(file.path, file.loop, file.realtime)
        )


def _path_of(stream: StreamConfig) -> str | None:
    return str(stream.file.path) if stream.file else None

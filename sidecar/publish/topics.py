"""Pure: where everything goes on the bus (CONTRACT, Topics)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic of the contract, for one site and one sidecar."""

    sidecar_id: str
    site: str = "default"
    prefix: str = "moderation/v1"

    @property
    def root(self) -> str:
        """`{prefix}/{site}`."""
        return f"{self.prefix}/{self.site}"

    @property
    def status(self) -> str:
        """This sidecar's retained status and last will."""
        return f"{self.root}/sidecars/{self.sidecar_id}/status"

    def action(self, stream_id: str, action: str) -> str:
        """The signal itself."""
        return f"{self.root}/streams/{stream_id}/actions/{action}"

    def verdict(self, stream_id: str) -> str:
        """The stream's retained verdict."""
        return f"{self.root}/streams/{stream_id}/verdict"

    def scores(self, stream_id: str) -> str:
        """Telemetry."""
        return f"{self.root}/streams/{stream_id}/scores"

    def ack(self, action_id: str) -> str:
        """Where enforcers acknowledge; `+` for all."""
        return f"{self.root}/acks/{action_id}"

    def outcome(self, action_id: str) -> str:
        """Where reviewers' outcomes come in; `+` for all."""
        return f"{self.root}/outcomes/{action_id}"

    def set(self, stream_id: str) -> str:
        """Where watching is started and stopped; `+` for all."""
        return f"{self.root}/sidecars/{self.sidecar_id}/streams/{stream_id}/set"

    def report(self, stream_id: str) -> str:
        """Where reports come in; `+` for all."""
        return f"{self.root}/streams/{stream_id}/report"

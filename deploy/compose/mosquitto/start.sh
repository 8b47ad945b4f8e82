# Writes the password file from the environment, then becomes the broker.
set -eu
umask 077
file="${PASSWORD_FILE:-/mosquitto/data/passwords}"
rm -f "$file"
: > "$file"
mosquitto_passwd -b "$file" sidecar "$SIDECAR_PASSWORD"
mosquitto_passwd -b "$file" enforcer "$ENFORCER_PASSWORD"
mosquitto_passwd -b "$file" observer "$OBSERVER_PASSWORD"
mosquitto_passwd -b "$file" desk "$DESK_PASSWORD"
exec mosquitto -c "${CONFIG_FILE:-/mosquitto/config/mosquitto.conf}"

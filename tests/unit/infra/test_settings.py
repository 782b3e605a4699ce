"""Settings: every field from the environment, local addresses by default, unusable values named."""

import dataclasses

import pytest

from infra.settings import SettingError, Settings


class TestSettings:
    def test_point_to_the_local_services_unless_told_otherwise(self):
        settings = Settings.from_env({"METERBEAT_PORT_BASE": "20000"})

        assert settings.kafka_bootstrap == "127.0.0.1:20092"
        assert settings.redis_url == "redis://127.0.0.1:20379/0"
        assert settings.serving_url == "http://127.0.0.1:20080"

    def test_take_a_cluster_as_it_is_given(self):
        assert (
            Settings.from_env({"METERBEAT_REDIS_URL": "unix:///run/redis"}).redis_url == "unix:///run/redis"
        )

    def test_hand_themselves_on_whole(self):
        settings = Settings.from_env(
            {
                "METERBEAT_S3_BUCKET": "elsewhere",
                "METERBEAT_WINDOW_S": "20",
                "METERBEAT_SERVING_COOKIE_SECURE": "true",
            }
        )

        assert Settings.from_env(settings.to_env()) == settings

    def test_cannot_be_changed(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            Settings.from_env({}).s3_bucket = "other"

    @pytest.mark.parametrize(
        ("environ", "says"),
        [
            pytest.param({"METERBEAT_COLOUR": "red"}, "METERBEAT_COLOUR is not a setting", id="unknown"),
            pytest.param({"METERBEAT_WINDOW_S": "ten"}, "METERBEAT_WINDOW_S is 'ten'", id="no-number"),
            pytest.param(
                {"METERBEAT_PORT_BASE": "80"}, "METERBEAT_PORT_BASE is 80, not in", id="out-of-range"
            ),
            pytest.param(
                {"METERBEAT_SERVING_COOKIE_SECURE": "maybe"}, "neither true nor false", id="no-truth"
            ),
            pytest.param({"METERBEAT_WINDOW_S": "7"}, "must divide 60", id="window"),
            *(
                pytest.param({"METERBEAT_SERVING_FORWARDED_BY": told}, "name the addresses", id=name)
                for name, told in [
                    ("everybody", "192.0.2.7, *"),
                    ("every-address", "0.0.0.0/0"),
                    ("proxy-by-name", "proxy.example"),
                    ("address-as-network", "192.0.2.7/24"),
                ]
            ),
        ],
    )
    def test_name_what_cannot_be_used(self, environ, says):
        with pytest.raises(SettingError, match=says):
            Settings.from_env(environ)

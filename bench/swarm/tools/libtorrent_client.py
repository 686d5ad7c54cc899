"""A BitTorrent client on libtorrent: `python3 libtorrent_client.py seed|fetch TORRENT FOLDER`.

A seed begins at once; a requester begins when a line comes in on its standard input, and says `done`
when every piece has been checked and written: libtorrent reports the former before the latter. Both
serve until they are killed.
"""

import sys

import libtorrent as lt

UNBOUND = {
    "user_agent": "bench", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
    "enable_natpmp": False, "enable_incoming_utp": False, "enable_outgoing_utp": False,
    "in_enc_policy": 2, "out_enc_policy": 2, "download_rate_limit": 0, "upload_rate_limit": 0,
    "connections_limit": 4000, "unchoke_slots_limit": -1, "max_out_request_queue": 2000,
    "max_allowed_in_request_queue": 4000, "request_queue_time": 3, "connection_speed": 500,
    "torrent_connect_boost": 100, "send_buffer_watermark": 8 << 20,
    "send_buffer_low_watermark": 512 << 10, "send_buffer_watermark_factor": 150,
    "max_queued_disk_bytes": 64 << 20, "active_seeds": -1, "active_downloads": -1,
    "active_limit": -1, "file_pool_size": 1000, "min_reconnect_time": 1,
    "min_announce_interval": 1, "listen_interfaces": "0.0.0.0:6881",
    "no_recheck_incomplete_resume": True, "allow_multiple_connections_per_ip": True,
}


def main():
    kind, torrent, folder = sys.argv[1:]
    known = lt.default_settings()
    settings = {name: value for name, value in UNBOUND.items() if name in known}
    settings["alert_mask"] = int(
        lt.alert.category_t.status_notification | lt.alert.category_t.storage_notification
    )
    session = lt.session(settings)
    wanted = lt.add_torrent_params()
    wanted.save_path = folder
    wanted.max_uploads = wanted.max_connections = -1
    wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if kind == "seed":
        wanted.flags |= lt.torrent_flags.seed_mode
    else:
        print("ready", flush=True)
        sys.stdin.readline()
    wanted.ti = lt.torrent_info(torrent)
    session.add_torrent(wanted)
    asked = False
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.torrent_finished_alert) and kind == "fetch":
                alert.handle.flush_cache()
                asked = True
            elif isinstance(alert, lt.cache_flushed_alert) and asked:
                print("done", flush=True)
                asked = False


main()

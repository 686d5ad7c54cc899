"""curl from nginx: one server, plain HTTP; a folder by a list of its files that curl is given."""

from .base import OneSource, find, first_line

PORT = 8080
CONFIG = """
user root;
worker_processes 2;
pid {run}/nginx.pid;
error_log {run}/error.log;
daemon off;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    sendfile_max_chunk 2m;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {run}/body;
    proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi;
    scgi_temp_path {run}/scgi;
    server {{ listen {address}:{port}; root {root}; }}
}}
"""


class Curl(OneSource):
    name = "curl-nginx"
    programs = {"curl": "curl", "nginx": "nginx"}

    def version(self):
        words = first_line(find("curl"), "--version").split()[:2]
        return f"{' '.join(words)}, {first_line(find('nginx'), '-v')}"

    def prepare(self, run):
        owner = run.owners[0]
        home = owner.folder / "nginx"
        home.mkdir()
        config = home / "nginx.conf"
        config.write_text(CONFIG.format(run=home, address=owner.address, port=PORT,
                                        root=owner.shared))
        run.spawn(owner, [find("nginx"), "-p", home, "-e", home / "error.log", "-c", config])
        run.until("nginx", lambda: self.answers(run, owner))
        if run.payload.is_folder:
            for host in run.requesters:
                self.list(host).write_text("".join(
                    f'url = "http://{owner.address}:{PORT}/{part}"\noutput = "{host.output / part}"\n'
                    for part in run.payload.parts
                ))

    def answers(self, run, owner):
        try:
            run.network.connect(owner.name, PORT, address=owner.address).close()
            return True
        except OSError:
            return False

    def list(self, host):
        return host.folder / "list"

    def start(self, run):
        common = [find("curl"), "--disable", "--silent", "--show-error", "--fail"]
        for host in run.requesters:
            if run.payload.is_folder:
                more = ["--parallel", "--parallel-max", "16", "--create-dirs",
                        "--config", self.list(host)]
            else:
                url = f"http://{run.owners[0].address}:{PORT}/{run.payload.name}"
                more = ["--output", host.output / run.payload.name, url]
            run.done_at_end_of(host, run.spawn(host, common + more))

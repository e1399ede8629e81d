"""Proxies that ask a service about each request. The front that asks Portcullis and the one that asks its peer are the
same, as far as their protocols allow."""

from programs.envoy import HTTP2, envoy
from programs.nginx import nginx

NGINX = """
upstream service { server 127.0.0.1:%d; keepalive 64; }
server {
    listen 127.0.0.1:{port};
    keepalive_requests 1000000;
    location / {
        auth_request /_service;
        auth_request_set $user $upstream_http_x_forwarded_user;
        add_header X-User $user;
        empty_gif;
    }
    location = /_service {
        internal;
        proxy_pass http://service/.portcullis/auth/nginx;
        proxy_pass_request_body off;
        proxy_http_version 1.1;
        proxy_set_header Connection        "";
        proxy_set_header Content-Length    "";
        proxy_set_header X-Original-Method $request_method;
        proxy_set_header X-Original-URL    $scheme://$http_host$request_uri;
        proxy_set_header X-Forwarded-For   $remote_addr;
    }
}
"""

ASKS = """- name: envoy.filters.http.ext_authz
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
                      transport_api_version: V3
                      """
GRPC = ASKS + "grpc_service: { timeout: 5s, envoy_grpc: { cluster_name: service } }"
HTTP = (
    ASKS
    + """http_service:
                        server_uri: { uri: http://service, cluster: service, timeout: 5s }
                        authorization_response:
                          allowed_upstream_headers: { patterns: [{ exact: x-forwarded-user }] }"""
)


def nginx_asks(stage, service):
    """nginx with `auth_request` to a port."""
    return nginx(stage.folder("front"), NGINX % service)


def envoy_asks_grpc(stage, service):
    """Envoy with `ext_authz` over gRPC."""
    return envoy(stage.folder("front"), filter=GRPC, service=service, protocol=HTTP2)


def envoy_asks_http(stage, service):
    """Envoy with `ext_authz` over HTTP."""
    return envoy(stage.folder("front"), filter=HTTP, service=service)

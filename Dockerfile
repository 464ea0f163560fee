# Two stages: the first installs, the second holds the result and nothing that could install more.
# Configuration: mount a directory with config.yaml at /etc/llm-proxy. Without one, a demo is served
# that knows no vendor. A stop waits for requests in flight: give it more than `drain` (30 s), as in
# `docker run --stop-timeout 40`.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /srv/llm-proxy
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY pyproject.toml constraints.txt hatch_build.py README.md LICENSE ./
COPY proxy ./proxy
COPY bench ./bench
# Its hot path compiled, a quarter less CPU: docs/adr/0021-compiled.md.
RUN HATCH_BUILD_HOOKS_ENABLE=1 /srv/llm-proxy/bin/pip install -c constraints.txt '.[embedded,cel]' \
 && /srv/llm-proxy/bin/pip uninstall --yes pip

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="llm-proxy" \
      org.opencontainers.image.description="A reverse proxy that speaks the OpenAI wire format" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
RUN groupadd --gid 10001 llm-proxy \
 && useradd --uid 10001 --gid llm-proxy --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin llm-proxy
COPY --from=build /srv/llm-proxy /srv/llm-proxy
# The demo alone: behind a published port the example's well-known key must open no vendor's account.
RUN mkdir /etc/llm-proxy && printf '%s\n' \
      '# Served when nothing is mounted at /etc/llm-proxy: the demo, no vendor, key "sk-demo".' \
      'listen: "${LLM_PROXY_LISTEN:-0.0.0.0:8080}"' \
      'data_dir: /var/lib/llm-proxy' \
      'keys: [{name: demo, key: sk-demo}]' \
      'providers: {demo: {kind: demo}}' \
      'models: {"chat-small": {targets: [{provider: demo, model: demo-1}]}}' \
      > /etc/llm-proxy/config.yaml \
 && /srv/llm-proxy/bin/llm-proxy check /etc/llm-proxy/config.yaml
ENV PATH=/srv/llm-proxy/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Usage records and the private database; a volume keeps them from one container to the next.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/llm-proxy
VOLUME /var/lib/llm-proxy
USER 10001:10001
WORKDIR /etc/llm-proxy
EXPOSE 8080
# Another port or TLS: set LLM_PROXY_HEALTH to the URL. No forward proxy stands between the two.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["python", "-c", "import os, ssl, urllib.request as u; u.build_opener(u.ProxyHandler({}), u.HTTPSHandler(context=ssl._create_unverified_context())).open(os.environ.get('LLM_PROXY_HEALTH', 'http://127.0.0.1:8080/healthz'), timeout=2)"]
ENTRYPOINT ["llm-proxy"]
CMD ["serve", "--config", "/etc/llm-proxy/config.yaml"]

# The page and the commands on a CPU: built from a checkout, run as nobody in particular.
#
#   docker build -t duchenne .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8460:8460 -e DUCHENNE_STUDIO_PASSWORD=... duchenne
#   docker run --rm --read-only --tmpfs /tmp -v "$PWD:/work" --user "$(id -u)" duchenne \
#     animate photo.jpg --expression happiness -o happy.mp4
#
# The model files come with the image, so that it needs no network; /tmp takes what is compiled.
FROM python:3.12-slim AS wheel
COPY . /src
RUN pip wheel --no-cache-dir --no-deps -w /wheel /src

FROM python:3.12-slim
COPY constraints.txt /
RUN --mount=from=wheel,source=/wheel,target=/wheel \
    pip install --no-cache-dir -c /constraints.txt "$(ls /wheel/*.whl)[studio]"
RUN DUCHENNE_CACHE=/opt/duchenne duchenne weights fetch \
    && DUCHENNE_CACHE=/opt/duchenne duchenne weights fetch face-landmarker-task \
    && chmod -R a+rX /opt/duchenne
ENV DUCHENNE_WEIGHTS=/opt/duchenne/weights DUCHENNE_CACHE=/tmp/duchenne DUCHENNE_OFFLINE=1
RUN useradd --uid 10001 --no-create-home duchenne && mkdir /work && chown duchenne /work
USER 10001
WORKDIR /work
EXPOSE 8460
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8460/login', timeout=4)"]
ENTRYPOINT ["duchenne"]
CMD ["serve", "--host", "0.0.0.0"]

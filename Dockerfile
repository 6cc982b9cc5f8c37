# One image for both programs, /balancer and /comet, on top of nothing else.
#
#     docker build -t halley .
#
# BUILDER is the image that compiles: the official Go image, or any other that has
# the go command in its PATH and the root certificates in Debian's place. No shell
# is needed in it, and no network where its module cache is full.
ARG BUILDER=golang:1.26

FROM ${BUILDER} AS build
WORKDIR /src
ENV CGO_ENABLED=0
# The modules are a layer of their own, which a change of the sources leaves alone.
COPY go.mod go.sum ./
RUN ["go", "mod", "download"]
COPY . .
RUN ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", "/out/", "./cmd/balancer", "./cmd/comet"]

FROM scratch
# A number, since there is no /etc/passwd to look a name up in; above every user
# that a system hands out.
USER 65532:65532
# Clients; gossip.
EXPOSE 8080 7946/tcp 7946/udp
CMD ["/balancer"]
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/balancer /out/comet /

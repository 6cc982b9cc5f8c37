package balancer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/tlsfiles"
	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// Balancer is a reverse proxy in front of comets. Build it with [New], then let
// [Balancer.Run] and [Balancer.Serve] run side by side.
type Balancer struct {
	// Fixed after construction.
	live      *live // the configuration, by conf()
	log       *zap.Logger
	fleet     *fleet
	metrics   *metrics
	server    *fasthttp.Server
	tunnels   *tunnel.Set // all of them
	clients   *clients
	entries   *entryMetrics
	drains    *drains // comets that begin to drain
	access    *accessMetrics
	accessLog *accessLog       // nil: none is written
	greeted   *greeted         // those that have not come in yet
	certs     *certs           // nil: no TLS is spoken
	tlsFiles  []*tlsfiles.File // that are read again
	watch     *park.Set        // the clients whose requests wait
	loops     *park.Loops      // that serve sockets without goroutines; nil: none does
	lanes     *lanes           // in these loops; nil: every request goes by the handler
	stopping  chan struct{}    // closed by stop
	stopOnce  sync.Once

	// Safe for any goroutine.
	admission  *admission
	door       *door
	ownSockets atomic.Int64 // WebSockets that the balancer itself answers
	tight      atomic.Int64 // second of the last warning that there is no room for connections
}

// New builds a balancer. Members tells it of the comets that gossip; nil leaves it
// with those of [Config.Comets]. The error names every mistake in the configuration.
func New(cfg Config, members Members) (*Balancer, error) {
	live, err := newLive(cfg)
	if err != nil {
		return nil, fmt.Errorf("balancer: %w", err)
	}
	b := &Balancer{
		live: live, log: live.conf().Log, metrics: newMetrics(), access: newAccessMetrics(), entries: newEntryMetrics(),
		admission: newAdmission(time.Now), door: newDoor(), tunnels: tunnel.NewSet(), clients: newClients(), drains: newDrains(), watch: park.New(), loops: park.NewLoops(0), stopping: make(chan struct{}),
	}
	if b.fleet, err = newFleet(live, members, b.metrics, b.cometDown); err != nil {
		return nil, fmt.Errorf("balancer: %w", err)
	}
	b.fleet.onDrain = b.drains.begin
	if b.certs, err = newCerts(&live.conf().TLS); err != nil {
		return nil, fmt.Errorf("balancer: %w", err)
	}
	b.tlsFiles = append(b.certs.files(), live.connector.tls.Files()...)
	b.greeted = newGreeted(maxGreeted, b.entries.handshakes.WithLabelValues(string(shakeCrowded)).Inc)
	if live.conf().CometTLS.Insecure {
		b.log.Warn("the certificates of comets are not verified (comet-insecure)")
	}
	if !withoutLanes {
		b.lanes = newLanes(b)
	}
	b.server = b.newServer()
	if b.accessLog, err = newAccessLog(live.conf(), b.log, b.access); err != nil {
		return nil, fmt.Errorf("balancer: %w", err)
	}
	return b, nil
}

// maxRequestHead is the longest head of a request: cookies of several applications
// on one host add up.
const maxRequestHead = 16 << 10

func (b *Balancer) newServer() *fasthttp.Server {
	l := &b.conf().Limits
	return &fasthttp.Server{
		ErrorHandler:   b.parseError,
		HeaderReceived: b.headReceived,
		ConnState:      b.clients.state,
		Logger:         quietLogger{b.log},
		ReadBufferSize: maxRequestHead,
		ReadTimeout:    l.ReadTimeout,
		WriteTimeout:   l.WriteTimeout,
		IdleTimeout:    l.IdleTimeout,
		// The bodies of other paths are passed on as they come; this is how much of
		// one fasthttp reads in advance.
		StreamRequestBody:            true,
		MaxRequestBodySize:           chunk.Size,
		DisablePreParseMultipartForm: true,
		// Closing a tunnel must close its connection at once.
		KeepHijackedConns: true,
		CloseOnShutdown:   true,
		// Nothing is added to what a comet answered.
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		NoDefaultContentType:  true,
		SecureErrorLogMessage: true,
	}
}

// cometDown is told of a comet that went down, or is gone: whoever waits for it is
// answered, and its tunnels end, so that their clients go elsewhere.
func (b *Balancer) cometDown(c *comet) {
	c.limits.flush()
	c.up.interrupt()
	b.lanes.interrupt(c.up, c.is(Gone))
	c.tunnels.CloseAll(tunnel.CometDown)
	if c.is(Gone) {
		c.up.close()
	}
}

// Run keeps to the comets, until ctx ends: it follows the gossip, checks them, and
// tidies up the connections to them. It also looks at the files of certificates.
func (b *Balancer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var tidy sync.WaitGroup
	tidy.Go(func() { b.tidy(ctx) })
	tidy.Go(func() { b.runDrains(ctx) })
	tidy.Go(func() { b.rereadFiles(ctx) })
	err := b.fleet.run(ctx)
	cancel()
	tidy.Wait()
	for _, c := range b.fleet.snapshot().comets {
		c.up.close()
	}
	return err
}

// tidy closes connections to comets that have been idle for too long.
func (b *Balancer) tidy(ctx context.Context) {
	// Looked at often enough for a limit that a reload makes short.
	every := func() time.Duration {
		return min(max(b.conf().Limits.MaxIdleTime/4, 10*time.Millisecond), time.Second)
	}
	tick := time.NewTicker(every())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, c := range b.fleet.snapshot().comets {
				c.up.sweep(now)
			}
			tick.Reset(every())
		}
	}
}

const (
	// silentTime is how long a connection on which nothing came yet has for it.
	silentTime = 100 * time.Millisecond
	// closeTime is how long closed connections have to be noticed.
	closeTime = 2 * time.Second
)

// stop ends everything that Serve began, and returns when nothing of it is alive.
// Requests under way have so much time.
func (b *Balancer) stop(within time.Duration) {
	b.stopOnce.Do(func() { close(b.stopping) })
	for _, c := range b.fleet.snapshot().comets {
		c.up.release()
	}
	b.lanes.release()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var closing sync.WaitGroup
	closing.Go(func() { b.tunnels.CloseOver(ctx, tunnel.Stopping, stopWindow(b.tunnels.Len(), within)) })
	silent := time.AfterFunc(silentTime, func() {
		b.greeted.close(silentClient)
		b.clients.close(silentClient)
		b.lanes.closeSilent()
	})
	defer silent.Stop()
	if err := b.server.ShutdownWithContext(ctx); err != nil {
		b.log.Warn("some requests did not end in time", zap.Int("connections", b.clients.len()+b.lanes.len()))
	}
	closing.Wait()
	b.tunnels.CloseAll(tunnel.Stopping) // those that were on their way
	b.waitForClients(ctx)
	b.greeted.closeAll()
	b.clients.close(anyClient)
	b.lanes.closeAll()
	for _, c := range b.fleet.snapshot().comets {
		c.up.interrupt()
	}
	ctx, cancel = context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	b.waitForClients(ctx)
}

// stopPause is the shortest time between the ends of two tunnels, on average, that is
// worth the waiting: 100 clients a second are a burden for nobody.
const stopPause = 10 * time.Millisecond

// stopWindow is the time over which n tunnels are closed when the balancer stops. The
// last ones have the rest of the stop time to end in order.
func stopWindow(n int, stopTime time.Duration) time.Duration {
	return min(time.Duration(n)*stopPause, max(stopTime-tunnel.Linger, stopTime/2))
}

// waitForClients waits until no connection of a client is left, or ctx ends.
func (b *Balancer) waitForClients(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for b.clients.len() > 0 || b.lanes.len() > 0 || b.tunnels.Len() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (b *Balancer) isStopping() bool {
	select {
	case <-b.stopping:
		return true
	default:
		return false
	}
}

// Ready reports whether the balancer knows its comets: the first gossip sync and the
// first round of checks have ended. Before, it calls nobody dead and lets requests
// wait.
func (b *Balancer) Ready() bool { return b.fleet.snapshot().ready }

// Comets lists the comets, by name.
func (b *Balancer) Comets() []CometStatus { return b.fleet.status() }

// Collectors are the balancer's metrics.
func (b *Balancer) Collectors() []prometheus.Collector {
	all := append(b.metrics.collectors(), b.entries.collectors()...)
	all = append(all, b.lanes.collectors()...)
	all = append(all, b.access.all)
	return append(all, cometStates{b.fleet}, b.admission, b.door, cometGauges{b.fleet}, b.fleet.finder, b.fleet.learnt.gauge(), tlsfiles.FilesCollector(b.tlsFiles))
}

// quietLogger takes what fasthttp logs: errors of connections, of which the metrics
// tell more.
type quietLogger struct{ log *zap.Logger }

func (l quietLogger) Printf(format string, args ...any) {
	l.log.Debug("http server", zap.String("message", fmt.Sprintf(format, args...)))
}

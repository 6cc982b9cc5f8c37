package cluster

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Collector is what the metrics are scraped from.
func (c *Cluster) Collector() prometheus.Collector { return membership{c} }

type membership struct{ members *Cluster }

var (
	nodesDesc = prometheus.NewDesc("halley_cluster_nodes",
		"Incarnations of nodes that this node knows, by state; the gone ones are remembered for a while.", []string{"state"}, nil)
	refusedDesc = prometheus.NewDesc("halley_cluster_refused_packets_total",
		"Packets and streams of the gossip that were refused, by reason.", []string{"reason"}, nil)
)

func (m membership) Describe(ch chan<- *prometheus.Desc) {
	ch <- nodesDesc
	ch <- refusedDesc
}

func (m membership) Collect(ch chan<- prometheus.Metric) {
	nodes := map[State]int{Up: 0, Leaving: 0, Left: 0, Failed: 0}
	for _, n := range m.members.View().Nodes {
		nodes[n.State]++
	}
	for state, n := range nodes {
		ch <- prometheus.MustNewConstMetric(nodesDesc, prometheus.GaugeValue, float64(n), state.String())
	}
	stats := m.members.Stats()
	for reason, n := range map[string]uint64{"key": stats.RefusedKey, "label": stats.RefusedLabel, "streams": stats.RefusedStreams, "malformed": stats.Malformed} {
		ch <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(n), reason)
	}
}

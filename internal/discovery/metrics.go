package discovery

import "github.com/prometheus/client_golang/prometheus"

// newLookups counts the lookups of names, by how they ended.
func newLookups() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "halley_balancer_lookups_total", Help: "Lookups of names of comets.",
	}, []string{"name", "result"})
}

var reloadsDesc = prometheus.NewDesc("halley_balancer_list_reloads_total",
	"Changes of the file of comets, by whether they could be used.", []string{"result"}, nil)

// Describe is that of a prometheus.Collector.
func (f *Finder) Describe(ch chan<- *prometheus.Desc) {
	f.lookups.Describe(ch)
	ch <- reloadsDesc
}

// Collect is that of a prometheus.Collector.
func (f *Finder) Collect(ch chan<- prometheus.Metric) {
	f.lookups.Collect(ch)
	if f.file == nil {
		return
	}
	ok, failed := f.file.Counts()
	ch <- prometheus.MustNewConstMetric(reloadsDesc, prometheus.CounterValue, float64(ok), "ok")
	ch <- prometheus.MustNewConstMetric(reloadsDesc, prometheus.CounterValue, float64(failed), "failed")
}

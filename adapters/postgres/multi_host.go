package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"

	"github.com/lib/pq"
)

// hosts connects to one of the hosts of a URL. It tries the host that accepted the
// last connection first. The driver alone would try them in the URL's order each
// time, and wait again for one that hangs.
type hosts struct {
	each []*pq.Connector
	last atomic.Int64
}

func newHosts(dsn string, with dialer) (*hosts, error) {
	config, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, err
	}
	h, all := &hosts{}, []pq.Config{config}
	if config.LoadBalanceHosts != pq.LoadBalanceHostsRandom && config.TargetSessionAttrs != pq.TargetSessionAttrsPreferStandby {
		all = eachHost(config)
	}
	for _, config := range all {
		connector, err := pq.NewConnectorConfig(config)
		if err != nil {
			return nil, err
		}
		connector.Dialer(with)
		h.each = append(h.each, connector)
	}
	return h, nil
}

// eachHost returns a configuration for each host.
func eachHost(config pq.Config) []pq.Config {
	others := config.Multi
	config.Multi = nil
	all := []pq.Config{config}
	for _, other := range others {
		next := config.Clone()
		next.Host, next.Hostaddr, next.Port = other.Host, other.Hostaddr, other.Port
		all = append(all, next)
	}
	return all
}

// Connect implements driver.Connector.
func (h *hosts) Connect(ctx context.Context) (driver.Conn, error) {
	first := h.last.Load()
	var failed error
	for i := range h.each {
		n := (int(first) + i) % len(h.each)
		conn, err := h.each[n].Connect(ctx)
		if err == nil {
			h.last.Store(int64(n))
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// Driver implements driver.Connector.
func (h *hosts) Driver() driver.Driver { return h.each[0].Driver() }

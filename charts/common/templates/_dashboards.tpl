{{/* 由 python -m infra.observability 生成,请勿手改。Generated; do not edit. */}}
{{- define "zongzhi.dashboard.zongzhi-tier" -}}
{{`{
 "uid": "zongzhi-tier",
 "title": "综治中心:一级 · one tier",
 "tags": [
  "zongzhi"
 ],
 "timezone": "Asia/Shanghai",
 "schemaVersion": 39,
 "editable": false,
 "refresh": "30s",
 "time": {
  "from": "now-6h",
  "to": "now"
 },
 "templating": {
  "list": [
   {
    "name": "datasource",
    "type": "datasource",
    "query": "prometheus",
    "label": "数据源 source"
   },
   {
    "name": "tier",
    "type": "query",
    "label": "层级 tier",
    "datasource": {
     "type": "prometheus",
     "uid": "${datasource}"
    },
    "refresh": 2,
    "sort": 1,
    "query": {
     "query": "label_values(zongzhi_build, zongzhi_tier)",
     "refId": "tiers"
    }
   }
  ]
 },
 "panels": [
  {
   "type": "row",
   "title": "法定时限 · statutory clocks",
   "collapsed": false,
   "panels": [],
   "gridPos": {
    "x": 0,
    "y": 0,
    "w": 24,
    "h": 1
   },
   "id": 1
  },
  {
   "type": "stat",
   "title": "超期 red",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 1,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "max by (service) (zongzhi_clocks{zongzhi_tier=\"$tier\", colour=\"red\"})",
     "legendFormat": "{{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": true
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 1e-09
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 2
  },
  {
   "type": "stat",
   "title": "临期 amber",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 1,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "max by (service) (zongzhi_clocks{zongzhi_tier=\"$tier\", colour=\"amber\"})",
     "legendFormat": "{{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": true
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 3
  },
  {
   "type": "timeseries",
   "title": "各色时限 clocks by colour",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 1,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "sum by (colour) (max by (service, colour) (zongzhi_clocks{zongzhi_tier=\"$tier\"}))",
     "legendFormat": "{{colour}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 4
  },
  {
   "type": "row",
   "title": "网关 · gateway",
   "collapsed": false,
   "panels": [],
   "gridPos": {
    "x": 0,
    "y": 9,
    "w": 24,
    "h": 1
   },
   "id": 5
  },
  {
   "type": "timeseries",
   "title": "每秒请求 requests",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 10,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "sum by (http_route) (rate(http_server_request_duration_seconds_count{zongzhi_tier=\"$tier\"}[$__rate_interval]))",
     "legendFormat": "{{http_route}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "reqps",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 6
  },
  {
   "type": "timeseries",
   "title": "出错比例 errors",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 10,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count{zongzhi_tier=\"$tier\", error_type!=\"\"}[$__rate_interval])) / sum by (zongzhi_tier) (rate(http_server_request_duration_seconds_count{zongzhi_tier=\"$tier\"}[$__rate_interval]))",
     "legendFormat": "5xx",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "percentunit",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 0.001
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 7
  },
  {
   "type": "timeseries",
   "title": "时长 duration",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 10,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "histogram_quantile(0.5, sum by (le, zongzhi_tier) (rate(http_server_request_duration_seconds_bucket{zongzhi_tier=\"$tier\"}[$__rate_interval])))",
     "legendFormat": "p50",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    },
    {
     "refId": "B",
     "expr": "histogram_quantile(0.95, sum by (le, zongzhi_tier) (rate(http_server_request_duration_seconds_bucket{zongzhi_tier=\"$tier\"}[$__rate_interval])))",
     "legendFormat": "p95",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    },
    {
     "refId": "C",
     "expr": "histogram_quantile(0.99, sum by (le, zongzhi_tier) (rate(http_server_request_duration_seconds_bucket{zongzhi_tier=\"$tier\"}[$__rate_interval])))",
     "legendFormat": "p99",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "s",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 8
  },
  {
   "type": "row",
   "title": "服务 · services",
   "collapsed": false,
   "panels": [],
   "gridPos": {
    "x": 0,
    "y": 18,
    "w": 24,
    "h": 1
   },
   "id": 9
  },
  {
   "type": "timeseries",
   "title": "每秒调用 calls",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 19,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "sum by (service) (rate(rpc_server_call_duration_seconds_count{zongzhi_tier=\"$tier\"}[$__rate_interval]))",
     "legendFormat": "{{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "reqps",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 10
  },
  {
   "type": "timeseries",
   "title": "出错比例 errors",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 19,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "sum by (service) (rate(rpc_server_call_duration_seconds_count{zongzhi_tier=\"$tier\", error_type!=\"\"}[$__rate_interval])) / sum by (service) (rate(rpc_server_call_duration_seconds_count{zongzhi_tier=\"$tier\"}[$__rate_interval]))",
     "legendFormat": "{{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "percentunit",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 0.001
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 11
  },
  {
   "type": "timeseries",
   "title": "p99",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 19,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "histogram_quantile(0.99, sum by (le, service) (rate(rpc_server_call_duration_seconds_bucket{zongzhi_tier=\"$tier\"}[$__rate_interval])))",
     "legendFormat": "{{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "s",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 12
  },
  {
   "type": "timeseries",
   "title": "最慢的方法 slowest methods",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 27,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "topk(10, histogram_quantile(0.99, sum by (le, rpc_method) (rate(rpc_server_call_duration_seconds_bucket{zongzhi_tier=\"$tier\"}[$__rate_interval]))))",
     "legendFormat": "{{rpc_method}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "s",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 13
  },
  {
   "type": "timeseries",
   "title": "处理事件 events applied",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 27,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "sum by (zongzhi_event_type) (rate(messaging_process_duration_seconds_count{zongzhi_tier=\"$tier\"}[$__rate_interval]))",
     "legendFormat": "{{zongzhi_event_type}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "ops",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 14
  },
  {
   "type": "timeseries",
   "title": "事件失败 failed events",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 27,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "sum by (service) (increase(messaging_process_duration_seconds_count{zongzhi_tier=\"$tier\", error_type!=\"\"}[$__rate_interval]))",
     "legendFormat": "{{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 1e-09
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 15
  },
  {
   "type": "row",
   "title": "收发 · outbox and inbox",
   "collapsed": false,
   "panels": [],
   "gridPos": {
    "x": 0,
    "y": 35,
    "w": 24,
    "h": 1
   },
   "id": 16
  },
  {
   "type": "timeseries",
   "title": "发件箱最早一条 oldest in outbox",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 36,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "max by (service, destination) (zongzhi_outbox_age_seconds{zongzhi_tier=\"$tier\"})",
     "legendFormat": "{{service}} → {{destination}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "s",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 300
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 17
  },
  {
   "type": "timeseries",
   "title": "发件箱条数 outbox rows",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 36,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "max by (service, destination) (zongzhi_outbox_depth{zongzhi_tier=\"$tier\"})",
     "legendFormat": "{{service}} → {{destination}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 18
  },
  {
   "type": "timeseries",
   "title": "收件箱最早一条 oldest in inbox",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 36,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "max by (service) (zongzhi_inbox_age_seconds{zongzhi_tier=\"$tier\"})",
     "legendFormat": "{{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "s",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 300
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 19
  },
  {
   "type": "timeseries",
   "title": "收件箱条数 inbox rows",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 44,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "max by (service) (zongzhi_inbox_depth{zongzhi_tier=\"$tier\"})",
     "legendFormat": "{{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 20
  },
  {
   "type": "timeseries",
   "title": "搁置 held",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 44,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "max by (service, stream) (zongzhi_inbox_held{zongzhi_tier=\"$tier\"})",
     "legendFormat": "{{service}} ← {{stream}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 1e-09
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 21
  },
  {
   "type": "timeseries",
   "title": "死信 dead letters",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 44,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "max by (service, queue) (zongzhi_dead_letters{zongzhi_tier=\"$tier\"})",
     "legendFormat": "{{queue}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 1e-09
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 22
  },
  {
   "type": "row",
   "title": "进程 · processes",
   "collapsed": false,
   "panels": [],
   "gridPos": {
    "x": 0,
    "y": 52,
    "w": 24,
    "h": 1
   },
   "id": 23
  },
  {
   "type": "timeseries",
   "title": "内存 memory",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 53,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "process_memory_usage_bytes{zongzhi_tier=\"$tier\"}",
     "legendFormat": "{{service_name}} {{pod}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "bytes",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 24
  },
  {
   "type": "timeseries",
   "title": "处理器 cpu",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 53,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "rate(process_cpu_time_seconds_total{zongzhi_tier=\"$tier\"}[$__rate_interval])",
     "legendFormat": "{{service_name}} {{pod}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 25
  },
  {
   "type": "timeseries",
   "title": "打开的文件 open files",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 53,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "process_unix_file_descriptor_count{zongzhi_tier=\"$tier\"}",
     "legendFormat": "{{service_name}} {{pod}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 26
  },
  {
   "type": "timeseries",
   "title": "丢弃的链路和日志 telemetry lost",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 61,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "increase(zongzhi_telemetry_dropped_total{zongzhi_tier=\"$tier\"}[$__rate_interval])",
     "legendFormat": "{{service_name}} {{signal}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 1e-09
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 27
  },
  {
   "type": "stat",
   "title": "版本 versions",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 61,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "count by (version, service_name) (zongzhi_build{zongzhi_tier=\"$tier\"})",
     "legendFormat": "{{version}} {{service_name}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": true
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 28
  },
  {
   "type": "timeseries",
   "title": "Collector 队列 collector queue",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 61,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "otelcol_exporter_queue_size / (otelcol_exporter_queue_capacity > 0)",
     "legendFormat": "{{exporter}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": false
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "percentunit",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 0.8
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 29
  }
 ]
}`}}
{{- end -}}
{{- define "zongzhi.dashboard.zongzhi-fleet" -}}
{{`{
 "uid": "zongzhi-fleet",
 "title": "综治中心:各级 · the fleet",
 "tags": [
  "zongzhi"
 ],
 "timezone": "Asia/Shanghai",
 "schemaVersion": 39,
 "editable": false,
 "refresh": "30s",
 "time": {
  "from": "now-6h",
  "to": "now"
 },
 "templating": {
  "list": [
   {
    "name": "datasource",
    "type": "datasource",
    "query": "prometheus",
    "label": "数据源 source"
   }
  ]
 },
 "panels": [
  {
   "type": "row",
   "title": "各级一览 · all tiers",
   "collapsed": false,
   "panels": [],
   "gridPos": {
    "x": 0,
    "y": 0,
    "w": 24,
    "h": 1
   },
   "id": 1
  },
  {
   "type": "table",
   "title": "取不到指标的 down",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 1,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "up{job=\"zongzhi\"} == 0",
     "legendFormat": "{{namespace}} {{pod}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": true
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 1e-09
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 2
  },
  {
   "type": "bargauge",
   "title": "超期最多的 most red clocks",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 1,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "topk(20, max by (zongzhi_tier, service) (zongzhi_clocks{colour=\"red\"}))",
     "legendFormat": "{{zongzhi_tier}} {{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": true
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 3
  },
  {
   "type": "bargauge",
   "title": "发件箱最久的 oldest outboxes",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 1,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "topk(20, max by (zongzhi_tier, service) (zongzhi_outbox_age_seconds))",
     "legendFormat": "{{zongzhi_tier}} {{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": true
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "s",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 300
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 4
  },
  {
   "type": "bargauge",
   "title": "搁置最多的 most held",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 0,
    "y": 9,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "topk(20, max by (zongzhi_tier, service) (zongzhi_inbox_held))",
     "legendFormat": "{{zongzhi_tier}} {{service}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": true
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 1e-09
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 5
  },
  {
   "type": "bargauge",
   "title": "出错比例最高的 most errors",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 8,
    "y": 9,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "topk(20, zongzhi:http_error_ratio:rate1h)",
     "legendFormat": "{{zongzhi_tier}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": true
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "percentunit",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       },
       {
        "color": "red",
        "value": 0.001
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 6
  },
  {
   "type": "stat",
   "title": "版本分布 versions",
   "datasource": {
    "type": "prometheus",
    "uid": "${datasource}"
   },
   "gridPos": {
    "x": 16,
    "y": 9,
    "w": 8,
    "h": 8
   },
   "targets": [
    {
     "refId": "A",
     "expr": "count by (version) (count by (version, zongzhi_tier) (zongzhi_build))",
     "legendFormat": "{{version}}",
     "datasource": {
      "type": "prometheus",
      "uid": "${datasource}"
     },
     "instant": true
    }
   ],
   "fieldConfig": {
    "defaults": {
     "unit": "short",
     "thresholds": {
      "mode": "absolute",
      "steps": [
       {
        "color": "green",
        "value": null
       }
      ]
     }
    },
    "overrides": []
   },
   "options": {},
   "id": 7
  }
 ]
}`}}
{{- end -}}

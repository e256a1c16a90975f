use super::{WEB, World, plugin, variable};
use crate::model::launch::Protocol;

const HTTP: &str =
    "{Private-IP-Name: IP, Private-Port-Name: PORT, Private-Port: 8080, Mappings: [{Frontend: '', Backend: ''}]}";

/// The plan of a web framework with these endpoints, and of a plugin with those.
fn plan(web: &str, other: &str) -> crate::plan::Plan {
    let web = format!("{WEB}Endpoints: [{web}]\n");
    let other = plugin("p", &format!("Endpoints: [{other}]\n"));
    World::of("[\"./c/web\", \"./c/p\"]", &[("web", &web), ("p", &other)]).plan()
}

fn ports(plan: &crate::plan::Plan) -> Vec<String> {
    plan.launch.ports.iter().map(|port| format!("{} {} {:?}", port.name, port.number, port.protocol)).collect()
}

#[test]
fn endpoints_become_ports() {
    let at = |number: u16, more: &str| {
        format!("{{Private-IP-Name: IP{number}, Private-Port-Name: PORT_{number}, Private-Port: {number}{more}}}")
    };
    let public = |number: u16, more: &str| at(number, &format!(", Public-Port-Name: X{more}"));
    for (web, other, expected) in [
        (HTTP.to_owned(), String::new(), vec!["http 8080 Http"]),
        (HTTP.to_owned(), at(70, ""), vec!["http 8080 Http"]),
        (HTTP.to_owned(), public(70, ""), vec!["http 8080 Http", "p-port-70 70 Tcp"]),
        (
            format!("{}, {HTTP}", public(70, ", Protocols: [tls]")),
            String::new(),
            vec!["http 8080 Http", "web-port-70 70 Tls"],
        ),
        (public(70, ", Protocols: [ws, wss]"), String::new(), vec!["http 70 Http"]),
        (public(70, ", Protocols: http"), String::new(), vec!["http 70 Http"]),
        (at(70, ""), String::new(), vec!["web-port-70 70 Tcp"]),
        (at(70, ", Options: {ssl_to_gear: true}"), String::new(), vec!["web-port-70 70 Tls"]),
        (at(70, ", Options: {ssl_to_gear: false}"), String::new(), vec!["web-port-70 70 Tcp"]),
        (at(70, ", Mappings: [{Frontend: '', Options: [ssl_to_gear]}]"), String::new(), vec!["web-port-70 70 Tls"]),
        (String::new(), String::new(), vec![]),
    ] {
        let plan = plan(&web, &other);
        assert_eq!(ports(&plan), expected, "{web} {other}");
        assert_eq!(
            plan.launch.health.as_ref().map(|health| health.port.as_str()),
            plan.launch.ports.first().map(|port| port.name.as_str())
        );
    }
}

#[test]
fn each_name_of_an_address_is_one() {
    let two = "{Private-IP-Name: DB, Private-Port-Name: DB_PORT, Private-Port: '3306'}, \
               {Private-IP-Name: DB, Private-Port-Name: ADMIN_PORT, Private-Port: 3307}, \
               {Private-IP-Name: DB2, Private-Port-Name: P2, Private-Port: 3306}, \
               {Private-IP-Name: DB3, Private-Port-Name: P3, Private-Port: 5432, Public-Port-Name: PROXY_PORT}";
    let plan = plan(HTTP, two);
    for (name, value) in [
        ("OPENSHIFT_WEB_IP", "0.0.0.0"),
        ("OPENSHIFT_WEB_PORT", "8080"),
        ("OPENSHIFT_P_DB", "127.0.0.2"),
        ("OPENSHIFT_P_DB_PORT", "3306"),
        ("OPENSHIFT_P_ADMIN_PORT", "3307"),
        ("OPENSHIFT_P_DB2", "127.0.0.3"),
        ("OPENSHIFT_P_DB3", "0.0.0.0"),
        ("OPENSHIFT_P_PROXY_PORT", "5432"),
    ] {
        assert_eq!(variable(&plan, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn the_same_number_at_two_addresses_is_on_the_loopback() {
    let other = "{Private-IP-Name: IP, Private-Port-Name: PORT, Private-Port: 8080, Mappings: [{Frontend: /admin, Backend: /}]}";
    let plan = plan(HTTP, other);
    assert_eq!(variable(&plan, "OPENSHIFT_WEB_IP").as_deref(), Some("127.0.0.1"));
    assert_eq!(variable(&plan, "OPENSHIFT_P_IP").as_deref(), Some("127.0.0.2"));
    assert_eq!(ports(&plan), ["http 8080 Http"]);
    let said = plan.warnings.join("\n");
    for part in
        ["web: port 8080 listens on the loopback alone", "p: port 8080 cannot be reached", "leads `/admin` to `/`"]
    {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_mapping_may_be_written_in_many_ways() {
    for (mappings, warned) in [
        ("[{Frontend: '', Backend: ''}]", false),
        ("[{Frontend: /, Backend: ''}]", false),
        ("[{Frontend: ''}, {Backend: ''}]", false),
        ("[{Frontend: '', Backend: '', Options: { \"websocket\", \"tohttps\" }}]", false),
        ("[{Frontend: '', Backend: '', Options: {websocket: true, connections: 5}}]", false),
        ("{Frontend: '', Backend: ''}", false),
        ("[{Frontend: ''}, {Backend: /inside}, {Options: {health: true}}]", true),
        ("[{Frontend: front, Backend: '/back'}]", true),
    ] {
        let web = format!(
            "{{Private-IP-Name: IP, Private-Port-Name: PORT, Private-Port: 8080, WebSocket-Port-Name: WS, WebSocket-Port: 8000, \
             Mappings: {mappings}}}"
        );
        let plan = plan(&web, "");
        assert_eq!(plan.launch.ports[0].protocol, Protocol::Http, "{mappings}");
        assert_eq!(plan.warnings.len(), usize::from(warned), "{mappings}: {:?}", plan.warnings);
        assert_eq!(variable(&plan, "OPENSHIFT_WEB_WS").as_deref(), Some("8000"));
    }
}
